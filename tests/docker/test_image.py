"""The image, built and run without a Docker engine: minutes and 3 GB, so it is run by hand.

python -m pytest -m benchmarks -s tests/docker
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
MISSING = [name for name in ("buildah", "debootstrap", "ip", "unshare") if shutil.which(name) is None]

pytestmark = [
    pytest.mark.benchmarks,
    pytest.mark.skipif(os.geteuid() != 0, reason="buildah on plain files needs root"),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder with the image, as the documented command builds it; DHPO_IMAGE_STORE names one that is there."""
    if given := os.environ.get("DHPO_IMAGE_STORE"):
        yield Path(given)
        return
    folder = tmp_path_factory.mktemp("images")
    started = time.monotonic()
    subprocess.run([DOCKER / "build_without_engine.sh", folder], check=True, timeout=3600)
    size = subprocess.run(["du", "-sm", folder], check=True, capture_output=True, text=True).stdout.split()[0]
    print(f"built in {time.monotonic() - started:.0f} s, {size} MB")
    yield folder
    shutil.rmtree(folder)


def output(*command: str | Path) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        command, env={**os.environ, "PATH": path}, stdout=subprocess.PIPE, text=True, check=True, timeout=900
    )
    print(done.stdout)
    return done.stdout


def test_the_image_has_a_user_and_no_compiler(store: Path) -> None:
    script = """
        id -u
        for each in tini dask-scheduler dask-worker; do command -v "$each"; done
        pip check >&2
        ! command -v gcc && ! touch /opt/venv/x
    """
    said = output(DOCKER / "run_without_engine.sh", store, "sh", "-c", script).splitlines()
    assert said == ["1000", "/usr/bin/tini", "/usr/local/bin/dask-scheduler", "/usr/local/bin/dask-worker"]


def test_the_quick_start_runs_in_the_image(store: Path) -> None:
    said = output(DOCKER / "run_without_engine.sh", store, "python", "/opt/dhpo/examples/quickstart.py")
    assert "alpha" in said


def test_the_demo_runs_in_the_image(store: Path) -> None:
    assert "held-out accuracy" in output(DOCKER / "run_without_engine.sh", store, "dhpo", "demo", "--max-iter", "9")


@pytest.mark.skipif(
    any(shutil.which(name) is None for name in ("podman", "runc"))
    or not (Path(sys.executable).parent / "podman-compose").exists(),
    reason="needs podman and runc of the system, and podman-compose beside this Python",
)
def test_the_quick_start_runs_on_the_compose_file(store: Path) -> None:
    compose = f"{DOCKER / 'compose_without_engine.sh'} {store}"
    script = f"""
        set -e
        ip link set lo up
        end() {{
            set +e
            [ "$1" = 0 ] || {compose} logs >&2
            {compose} --profile driver down --volumes --timeout 3 >&2
        }}
        trap 'end $?' EXIT
        {compose} up --detach --no-build >&2
        {compose} --profile driver run --rm -T driver
        {compose} podman healthcheck run dhpo_scheduler_1 >&2
        ss --listening --tcp --numeric --no-header | awk '{{print "listens", $4}}'
    """
    said = output("unshare", "--net", "bash", "-c", script)
    assert "alpha" in said
    listening = {line.split()[1] for line in said.splitlines() if line.startswith("listens")}
    assert listening == {"127.0.0.1:8786", "127.0.0.1:8787"}
