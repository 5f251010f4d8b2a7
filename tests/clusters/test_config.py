"""Configurations: where they come from, and what is said of wrong ones. Nothing is started here."""

from __future__ import annotations

import contextlib
import pickle
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed.security import Security
from pydantic import BaseModel

import clusters
from clusters.config import ClusterConfig
from clusters.kinds import HOMES, Kind, kind_named
from clusters.sources import block_fields
from clusters.tls import portable, security_of

SECRET = "s3cret-in-the-clear"


@pytest.fixture(autouse=True)
def configuration_of_nobody() -> Any:
    """Without what this machine's own Dask configuration says of clusters."""
    with dask.config.set({"dhpo.clusters": {}}):
        yield


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"worker": 3}, "unknown key 'worker'; did you mean 'workers'?"),
        ({"proceses": False}, "unknown key 'proceses'; did you mean 'processes'?"),
        ({"local": {"proceses": False}}, "local: unknown key 'proceses'; did you mean 'processes'?"),
        ({"local": "yes"}, "local: expected keys and values, and got str"),
        ({"zzz": 3}, "unknown key 'zzz'; expected one of dashboard, env"),
        ({"workers": 0}, "workers=0: expected an integer of at least 1, or a pair"),
        ({"workers": True}, "workers=True: expected an integer"),
        ({"workers": "4"}, "workers='4': expected an integer"),
        ({"workers": (5, 2)}, r"workers=\(5, 2\): expected \(fewest, most\)"),
        ({"workers": (0, 0)}, r"workers=\(0, 0\): expected \(fewest, most\)"),
        ({"workers": (-1, 2)}, r"workers=\(-1, 2\): expected \(fewest, most\)"),
        ({"workers": [1, 2, 3]}, r"workers=\[1, 2, 3\]: expected two integers"),
        ({"workers": (0, 2.5)}, r"workers=\(0, 2.5\): expected two integers"),
        ({"threads": 0}, "threads=0: expected an integer of at least 1"),
        ({"memory": "much"}, "memory='much': expected bytes"),
        ({"memory": "1e400GB"}, "memory='1e400GB': expected bytes"),
        ({"memory": 4}, "memory=4: expected bytes for one worker"),
        ({"memory": 1e9}, "memory=1000000000.0: expected bytes"),
        ({"idle_timeout": "soon"}, "idle_timeout='soon': expected a time"),
        ({"idle_timeout": ""}, "idle_timeout='': expected a time"),
        ({"idle_timeout": "1e999"}, "idle_timeout='1e999': expected a time"),
        ({"idle_timeout": -1}, "idle_timeout=-1: expected a time"),
        ({"start_timeout": None}, "start_timeout=None: expected a time"),
        ({"start_timeout": float("inf")}, "start_timeout=inf: expected a time"),
        ({"dashboard": ":8787"}, "dashboard=':8787': expected 'host:port'"),
        ({"dashboard": "127.0.0.1:99999"}, "dashboard='127.0.0.1:99999': expected 'host:port'"),
        ({"env": ["A"]}, "env: expected names and values"),
        ({"env": {"A=B": SECRET}}, "env: expected names of variables"),
        ({"env": {"A": [SECRET]}}, "env: the value of A is neither text nor a number"),
        ({"env": {"NOT_SET_ANYWHERE": None}}, "env: NOT_SET_ANYWHERE has no value, and is not in this environment"),
        ({"security": "yes"}, "security: expected True, False"),
        ({"security": {"ca_file": "/ca", "cert": "/c"}}, "security: expected True, False"),
        ({"security": {"ca_file": "/no/ca", "cert": "/c", "key": "/k"}}, "ca_file is not a file on this machine"),
        ({"python": "/usr/bin/python3"}, "python: means nothing to a cluster of kind local"),
        ({"processes": False, "env": {"A": SECRET}}, "env: workers in this process share its environment"),
        ({"processes": "no"}, "processes='no': Input should be a valid boolean"),
    ],
)
def test_wrong_keys_and_values(options: dict[str, Any], message: str) -> None:
    with pytest.raises(clusters.ConfigError, match=message) as caught:
        clusters.configure("local", **options)
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    assert isinstance(caught.value, ValueError)


def test_every_wrong_value_is_told_at_once() -> None:
    with pytest.raises(clusters.ConfigError) as caught:
        clusters.configure("local", threads="x", memory=4)
    assert "threads='x'" in str(caught.value)
    assert "memory=4" in str(caught.value)


@pytest.mark.parametrize("kind", ["locl", "", None, 3])
def test_unknown_kind(kind: Any) -> None:
    with pytest.raises(clusters.ConfigError, match="there are: local"):
        clusters.configure(kind)


def test_what_is_allowed_is_understood() -> None:
    config = clusters.configure(
        "local", workers=(0, 3), memory="1GiB", env={"N": 1, "X": "y"}, idle_timeout="1 hour", start_timeout=5
    )
    assert (config.adapts, config.least, config.most) == (True, 0, 3)
    assert (config.memory, config.idle_timeout, config.start_timeout) == (2**30, 3600.0, 5.0)
    assert config.environment() == {"N": "1", "X": "y"}
    assert (clusters.configure("local", workers=2).least, clusters.configure("local").most) == (2, None)


def test_a_variable_without_value_is_taken_from_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_OF_TEST", SECRET)
    config = clusters.configure("local", env={"TOKEN_OF_TEST": None})
    assert config.environment() == {"TOKEN_OF_TEST": SECRET}
    for text in (repr(config), str(config), config.model_dump_json(), clusters.render(config)):
        assert SECRET not in text


def test_file_and_what_is_different(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text("kind: local\nworkers: [1, 4]\nstart-timeout: 90\nenv: {A: a, B: b}\nlocal:\n  processes: true\n")
    for source in (path, str(path)):
        config = clusters.load(source, workers=8, env={"B": "c"})
        assert (config.workers, config.start_timeout) == (8, 90.0)
        assert config.environment() == {"A": "a", "B": "c"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("- local\n", "expected keys and values, and got list"),
        ("", "expected keys and values, and got NoneType"),
        ("workers: 3\n", "has no key 'kind'; expected one of local"),
        ("kind: locl\n", "unknown kind of cluster 'locl'; did you mean 'local'?"),
        (f"kind: local\nenv: {{A: {SECRET}\n", "not YAML at line 3"),
        ("kind: !!python/object/apply:os.system ['true']\n", "not YAML at line 1"),
        ("kind: local\nidle_timeout: 2024-99-99\n", "not YAML: a value looks like a date"),
        ("kind: local\nwrokers: 3\n", "cluster.yaml: unknown key 'wrokers'; did you mean 'workers'?"),
        (b"kind: \xff\n", "cannot be read"),
    ],
)
def test_wrong_files(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(clusters.ConfigError, match=message) as caught:
        clusters.load(path)
    assert SECRET not in str(caught.value)


def test_missing_file_and_unknown_profile_are_told_apart() -> None:
    with pytest.raises(clusters.ConfigError, match=r"nowhere\.yaml: there is no such file"):
        clusters.load("nowhere.yaml")
    with (
        dask.config.set({"dhpo.clusters.profiles": {"laptop": {"kind": "local"}}}),
        pytest.raises(clusters.ConfigError, match="unknown profile 'labtop'; did you mean 'laptop'"),
    ):
        clusters.load("labtop")
    with pytest.raises(clusters.ConfigError, match="expected a YAML file"):
        clusters.load(3)  # type: ignore[arg-type]


def test_profiles_and_defaults_of_dask_with_keywords_over_both() -> None:
    ours = {
        "dhpo.clusters.defaults.local": {"threads": 2, "start-timeout": "2 minutes", "local": {"processes": False}},
        "dhpo.clusters.profiles": {"laptop": {"kind": "local", "workers": 2, "threads": 3}},
    }
    with dask.config.set(ours):
        laptop = clusters.load("laptop", workers=1)
        plain = clusters.configure("local")
    assert (laptop.workers, laptop.threads, laptop.start_timeout) == (1, 3, 120.0)
    assert (plain.workers, plain.threads) == (None, 2)
    assert "processes=False" in clusters.render(laptop)


def test_wrong_defaults_of_dask_are_told_by_place() -> None:
    with (
        dask.config.set({"dhpo.clusters.defaults.local": {"thread": 2}}),
        pytest.raises(clusters.ConfigError, match=r"dhpo\.clusters\.defaults\.local: unknown key 'thread'"),
    ):
        clusters.configure("local")


def test_variables_of_the_environment_count_as_defaults() -> None:
    variables = {"DASK_DHPO__CLUSTERS__DEFAULTS__LOCAL__START_TIMEOUT": "7"}
    with dask.config.set(dask.config.collect(paths=[], env=variables)):
        assert clusters.configure("local").start_timeout == 7.0


def test_kind_of_a_file_stays() -> None:
    with pytest.raises(clusters.ConfigError, match="kind='ssh': cluster is of kind 'local'"):
        clusters.load({"kind": "local"}, kind="ssh")


def test_a_configuration_is_complete() -> None:
    config = clusters.configure("local")
    with pytest.raises(TypeError, match="a configuration is complete; say workers"):
        clusters.render(config, workers=3)


@pytest.mark.parametrize("name", HOMES)
def test_every_kind_keeps_the_rules(name: str) -> None:
    kind = kind_named(name)
    assert (kind.name, kind.config.model_fields["kind"].default) == (name, name)
    assert not block_fields(kind) & set(ClusterConfig.model_fields), "its keys have names of their own"
    models: list[type[BaseModel]] = [kind.config]
    options = kind.config.model_fields[name].annotation
    if isinstance(options, type) and issubclass(options, BaseModel):
        models.append(options)
    for model in models:
        assert all(field.description for key, field in model.model_fields.items() if key != "kind")
    assert set(kind.config.unused) <= set(ClusterConfig.model_fields)
    assert not kind.needs or kind.extra


def test_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    local = kind_named("local")
    lacking: Kind[Any] = Kind(
        "local", local.config, local.render, local.start, local.check, extra="moon", needs=("json", "no_such_package")
    )
    monkeypatch.setattr("clusters.start_up.kind_named", lambda name: lacking)
    for call in (clusters.start, clusters.check):
        with pytest.raises(clusters.ExtraNotInstalled, match=r'needs no_such_package: pip install "dhpo\[moon\]"') as e:
            call("local")
        assert isinstance(e.value, ImportError)
    assert clusters.render("local")


def test_certificates_are_made_read_and_never_shown(tmp_path: Path) -> None:
    made: Any = security_of(None, default=True)
    assert made.require_encryption
    parts = portable(made, "worker")
    names = {f"tls_{role}_{part}" for role in ("worker", "client") for part in ("cert", "key")}
    assert set(parts) == names | {"require_encryption", "tls_ca_file"}
    files = {"ca_file": "tls_ca_file", "cert": "tls_worker_cert", "key": "tls_worker_key"}
    for name, part in files.items():
        (tmp_path / name).write_text(parts[part])
    given = {name: str(tmp_path / name) for name in files}
    config = clusters.configure("local", security=given)
    assert isinstance(config.security, Security)
    assert portable(config.security, "worker") == parts
    with contextlib.chdir(tmp_path):
        near = clusters.configure("local", security={name: name for name in files})
    # A script that is submitted works in another folder.
    assert portable(near.security, "worker") == parts
    assert "PRIVATE KEY" not in repr(config) + clusters.render(config)
    with dask.config.set({"distributed.comm.tls.ca-file": given["ca_file"], "distributed.comm.tls.client.cert": "c"}):
        assert vars_of(security_of(True, default=False))["tls_ca_file"] == given["ca_file"]
    assert not vars_of(security_of(False, default=True))["require_encryption"]


def vars_of(security: Any) -> dict[str, Any]:
    return {name: getattr(security, name) for name in security.__slots__}


def test_errors_survive_pickling() -> None:
    error = clusters.StartError("host b is down", "change hosts=")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.problem) == ("host b is down: change hosts=", error.problem)
