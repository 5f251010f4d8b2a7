"""What can be told of the image and the compose file without building anything."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from distributed import LocalCluster
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
COMPOSE = DOCKER / "compose.yaml"
BIN = DOCKER / "bin"
SCRIPTS = sorted([*DOCKER.glob("*.sh"), *BIN.iterdir()])
ENVIRONMENTS = [
    {**default_environment(), "python_version": each, "python_full_version": f"{each}.0"}
    for each in ("3.11", "3.12", "3.13")
]


def tool(name: str) -> str:
    """A linter of this environment or of the system; CI has to have it."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is not installed")
        pytest.skip(f'{name} is not installed: pip install ".[test]"')
    return found


def run(*command: str | Path, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command with the Python of this environment as `python`."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [str(word) for word in command],
        env={**os.environ, "PATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


# --- linters


def test_hadolint() -> None:
    run(tool("hadolint"), DOCKER / "Dockerfile")


def test_shellcheck() -> None:
    run(tool("shellcheck"), *SCRIPTS)


def test_the_compose_file_is_of_the_schema() -> None:
    run(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", COMPOSE)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_may_be_run(script: Path) -> None:
    assert os.access(script, os.X_OK)
    assert script.read_text().startswith(("#!/bin/sh\n", "#!/usr/bin/env bash\n"))


# --- Dockerfile


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"(?m)^\s*#.*\n", "", (DOCKER / "Dockerfile").read_text()).replace("\\\n", " ")
    return [(line.split()[0], " ".join(line.split()[1:])) for line in text.splitlines() if line.strip()]


def stages() -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    name = ""
    for word, rest in instructions():
        if word == "FROM":
            name = rest.partition(" AS ")[2] or "default"
            found[name] = []
        if name:
            found[name].append((word, rest))
    return found


@pytest.mark.parametrize("name", ["runtime", "jupyter", "default"])
def test_images_run_as_uid_1000(name: str) -> None:
    assert [rest for word, rest in stages()[name] if word == "USER"][-1] == "1000:1000"


def test_what_is_built_without_a_target_is_the_image_of_the_cluster() -> None:
    assert list(stages())[-1] == "default"
    assert stages()["default"][0] == ("FROM", "runtime")


def test_everything_from_an_index_has_a_hash() -> None:
    installs = [
        command
        for word, rest in instructions()
        if word == "RUN"
        for command in rest.split("&&")
        if re.search(r"\bpip (install|wheel)\b", command)
    ]
    assert len(installs) == 5
    for command in installs:
        assert "--require-hashes" in command or ("--no-deps" in command and re.search("--no-index|isolation", command))


def test_an_image_starts_what_is_open_to_nobody() -> None:
    assert ("CMD", '["dhpo", "demo"]') in stages()["runtime"]
    assert "0.0.0.0" not in (DOCKER / "Dockerfile").read_text()
    assert not [rest for word, rest in instructions() if word == "EXPOSE"]


def test_what_is_copied_is_there_and_reaches_the_build() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for word, rest in instructions():
        if word == "COPY" and "--from" not in rest:
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists()
                assert source.split("/")[0] in allowed


# --- lock files


def locked(name: str) -> dict[str, tuple[Requirement, list[str]]]:
    text = re.sub(r"(?m)^\s*#.*\n", "", (DOCKER / name).read_text()).replace("\\\n", " ")
    entries = [line.split("--hash=") for line in text.splitlines() if line.strip()]
    parsed = [(Requirement(first.strip()), [each.strip() for each in hashes]) for first, *hashes in entries]
    return {canonicalize_name(requirement.name): (requirement, hashes) for requirement, hashes in parsed}


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.mark.parametrize("name", ["requirements.lock", "jupyter.lock", "build.lock"])
def test_locks_pin_versions_with_hashes_and_name_no_index(name: str) -> None:
    assert "index-url" not in (DOCKER / name).read_text()
    for requirement, hashes in locked(name).values():
        assert [each.operator for each in requirement.specifier] == ["=="]
        assert hashes
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", each) for each in hashes)


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda each: each["python_version"])
def test_the_lock_holds_what_the_project_asks_for(environment: dict[str, str]) -> None:
    metadata = project()["project"]
    extras = metadata["optional-dependencies"]
    pins = locked("requirements.lock")
    for line in [*metadata["dependencies"], *extras["ssh"], *extras["zarr"]]:
        wanted = Requirement(line)
        assert canonicalize_name(wanted.name) in pins, f"{line} is not locked: run docker/lock.sh"
        pin, _ = pins[canonicalize_name(wanted.name)]
        assert pin.marker is None or pin.marker.evaluate(environment)
        assert wanted.specifier.contains(version_of(pin)), f"{line} is locked as {pin}: run docker/lock.sh"


def test_the_build_is_locked_as_the_project_asks_for() -> None:
    pins = locked("build.lock")
    for line in project()["build-system"]["requires"]:
        wanted = Requirement(line)
        assert wanted.specifier.contains(version_of(pins[canonicalize_name(wanted.name)][0]))


def test_jupyter_changes_no_version_of_the_image() -> None:
    base, more = locked("requirements.lock"), locked("jupyter.lock")
    assert "jupyterlab" in more
    for name in base.keys() & more.keys():
        assert version_of(base[name][0]) == version_of(more[name][0])


def version_of(pin: Requirement) -> Version:
    (specifier,) = pin.specifier
    return Version(specifier.version)


# --- compose file


def compose() -> dict[str, Any]:
    """The compose file with the defaults of its variables."""
    parsed: dict[str, Any] = yaml.safe_load(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", COMPOSE.read_text()))
    return parsed


SERVICES: dict[str, dict[str, Any]] = compose()["services"]
LONG_RUNNING = {name: service for name, service in SERVICES.items() if service["restart"] != "no"}


def test_the_services() -> None:
    assert set(SERVICES) == {"certificates", "scheduler", "worker", "driver", "jupyter"}
    assert set(LONG_RUNNING) == {"scheduler", "worker", "jupyter"}
    assert {name for name, service in SERVICES.items() if "profiles" not in service} == {
        "certificates",
        "scheduler",
        "worker",
    }


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_on_loopback_alone(name: str) -> None:
    assert SERVICES[name].get("network_mode") is None
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)


@pytest.mark.parametrize("name", SERVICES)
def test_services_have_no_rights_and_a_limit(name: str) -> None:
    service = SERVICES[name]
    assert service["user"] == "1000:1000"
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "devices", "pid", "ipc", "userns_mode"} & set(service)
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert not [volume for volume in service["volumes"] if volume.startswith((".", "/", "~"))]


@pytest.mark.parametrize("name", LONG_RUNNING)
def test_what_runs_for_long_has_a_health_check(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert {"test", "interval", "timeout", "retries", "start_period"} <= set(check)
    assert check["test"][:3] == ["CMD", "python", "-c"]
    compile(check["test"][3], name, "exec")


def test_services_wait_for_what_they_need() -> None:
    needs = {name: service.get("depends_on", {}) for name, service in SERVICES.items()}
    assert needs.pop("certificates") == {}
    assert needs.pop("scheduler") == {"certificates": {"condition": "service_completed_successfully"}}
    assert all(each == {"scheduler": {"condition": "service_healthy"}} for each in needs.values())


def test_dask_speaks_tls_alone() -> None:
    for name, service in SERVICES.items():
        if name != "certificates":
            assert service["environment"]["DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION"] == "true"
            assert service["environment"]["DASK_SCHEDULER_ADDRESS"].startswith("tls://")
            assert "tls:/tls:ro" in service["volumes"]
    assert "tcp://" not in COMPOSE.read_text()


# --- what is in the image


@pytest.mark.parametrize("role", ["scheduler", "worker"])
def test_shims_forward_to_dask(role: str, tmp_path: Path) -> None:
    assert f"Usage: dask {role} [OPTIONS]" in run(BIN / f"dask-{role}", "--help").stdout

    dask = tmp_path / "dask"
    dask.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    dask.chmod(0o755)
    said = run(BIN / f"dask-{role}", "--name", "two words", PATH=f"{tmp_path}:{os.environ['PATH']}").stdout
    assert said.splitlines() == [role, "--name", "two words"]


def test_the_entrypoint_becomes_the_command() -> None:
    done = run(BIN / "entrypoint.sh", "sh", "-c", 'echo "$1"; exit 3', "sh", "two words", check=False)
    assert (done.returncode, done.stdout) == (3, "two words\n")


def test_the_entrypoint_installs_packages_over_those_of_the_image(tmp_path: Path) -> None:
    wheel = tmp_path / "dhpo_extra-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("dhpo_extra.py", "")
        # Of the image, so that nothing is looked for in an index.
        metadata = "Metadata-Version: 2.1\nName: dhpo-extra\nVersion: 1.0\nRequires-Dist: numpy\n"
        archive.writestr("dhpo_extra-1.0.dist-info/METADATA", metadata)
        archive.writestr(
            "dhpo_extra-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("dhpo_extra-1.0.dist-info/RECORD", "")
    folder = tmp_path / "extra"
    script = "import dhpo_extra, numpy; print(dhpo_extra.__file__); print(numpy.__file__)"
    # What `dask` and `dhpo` run is the Python of the image, and not the one over it.
    for python in ("python", sys.executable):
        said = run(
            BIN / "entrypoint.sh",
            *(python, "-c", script),
            EXTRA_PIP_PACKAGES=f"--no-index {wheel}",
            EXTRA_PIP_FOLDER=str(folder),
        ).stdout.splitlines()
        assert said[0].startswith(str(folder))
        assert not said[1].startswith(str(folder))


@pytest.mark.parametrize("name", ["EXTRA_APT_PACKAGES", "EXTRA_CONDA_PACKAGES"])
def test_the_entrypoint_refuses_what_needs_root(name: str) -> None:
    done = run(BIN / "entrypoint.sh", "echo", "started", check=False, **{name: "gcc"})
    assert done.returncode == 64
    assert "need root" in done.stderr
    assert not done.stdout


def test_certificates_are_made_once_and_for_their_owner(tmp_path: Path) -> None:
    first = run(sys.executable, DOCKER / "certificates.py", tmp_path).stdout
    assert first == f"{tmp_path}: made\n"
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(files) == {"ca.pem", "cert.pem", "key.pem"}
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}

    assert "good until" in run(sys.executable, DOCKER / "certificates.py", tmp_path).stdout
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files


def test_certificates_that_end_soon_are_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(sys.executable, DOCKER / "certificates.py", tmp_path)
    before = (tmp_path / "cert.pem").read_bytes()
    main = runpy.run_path(str(DOCKER / "certificates.py"))["main"]
    # As if a year had gone by.
    monkeypatch.setitem(main.__globals__, "SPARE", timedelta(days=366))
    main(tmp_path)
    assert capsys.readouterr().out == f"{tmp_path}: made\n"
    assert (tmp_path / "cert.pem").read_bytes() != before


def test_a_script_runs_on_the_cluster(cluster: LocalCluster, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\nfrom distributed import default_client\n\n\n"
        "def double(x):\n    return 2 * x\n\n\n"
        "if __name__ == '__main__':\n"
        "    print(default_client().scheduler.address, default_client().submit(double, 21).result(), sys.argv[1:])\n"
    )
    address = cluster.scheduler_address
    said = run(sys.executable, DOCKER / "on_cluster.py", script, "--a", DASK_SCHEDULER_ADDRESS=address).stdout
    assert said == f"{address} 42 ['--a']\n"


def test_a_script_without_a_cluster_starts_none(tmp_path: Path) -> None:
    done = run(sys.executable, DOCKER / "on_cluster.py", tmp_path / "script.py", check=False)
    assert done.returncode != 0
    assert "scheduler-address" in done.stderr
