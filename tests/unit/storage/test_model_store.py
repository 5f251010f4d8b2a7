"""Models are written and read back, whole or not at all, on any file system."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import uuid
from pathlib import Path

import fsspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import SGDClassifier

import dhpo
from dhpo.storage.model_store import Checkpoint, ModelLost, ModelStore, dumps_model, loads_model

ROOT = Path(dhpo.__file__).parent.parent


@pytest.fixture(params=["path", "file URL", "memory URL"])
def store(request, tmp_path):
    memory = fsspec.filesystem("memory")
    name = f"/store-{uuid.uuid4().hex}"
    url = {"path": str(tmp_path / "run" / "models"), "file URL": f"file://{tmp_path}/models"}.get(
        request.param, f"memory:/{name}"
    )
    store = ModelStore(url)
    store.create()
    yield store
    if memory.exists(name):
        memory.rm(name, recursive=True)


def names(store):
    fs, root = fsspec.core.url_to_fs(store.url)
    return sorted(path.rsplit("/", 1)[1] for path in fs.ls(root, detail=False))


def test_models_come_back_as_they_were(store):
    models = {(1, 3): b"one", (7, 3): b"", (2, 9): os.urandom(100_000), (40, 1): b"\x00dhpo-models-1\n"}
    checkpoints = store.write(models)
    assert {(c.model, c.calls) for c in checkpoints.values()} == set(models)
    assert all(trial == c.model for trial, c in checkpoints.items())
    assert {t: store.read(c) for t, c in checkpoints.items()} == {t: data for (t, _), data in models.items()}


def test_a_step_is_one_file(store):
    written = store.write({(1, 1): b"a", (2, 1): b"b"})
    assert names(store) == [written[1].file] == [written[2].file]


def test_a_step_that_runs_twice_overwrites_nothing(store):
    first, second = store.write({(1, 1): b"first"})[1], store.write({(1, 1): b"second"})[1]
    assert first.file != second.file
    assert (store.read(first), store.read(second)) == (b"first", b"second")


def test_a_deleted_file_is_gone_and_may_be_deleted_again(store):
    checkpoint, other = store.write({(1, 1): b"a"})[1], store.write({(2, 1): b"b"})[2]
    for _ in range(2):
        store.delete(checkpoint.file)
    with pytest.raises(ModelLost):
        store.read(checkpoint)
    assert store.read(other) == b"b"
    assert names(store) == [other.file]


def test_a_store_whose_folder_is_gone_has_no_files(store):
    checkpoint = store.write({(1, 1): b"a"})[1]
    assert store.files() == {checkpoint.file}
    fs, root = fsspec.core.url_to_fs(store.url)
    fs.rm(root, recursive=True)
    assert store.files() == set()


def test_a_store_travels_as_its_address(store):
    checkpoint = store.write({(1, 1): b"a"})[1]
    copy, same = pickle.loads(pickle.dumps((store, checkpoint)))
    assert copy.url == store.url
    assert copy.read(same) == b"a"


def test_a_store_may_be_made_twice(store):
    checkpoint = store.write({(1, 1): b"a"})[1]
    store.create()
    assert store.read(checkpoint) == b"a"


def test_only_the_owner_can_look_into_a_local_store(tmp_path):
    ModelStore(str(tmp_path / "models")).create()
    assert (tmp_path / "models").stat().st_mode & 0o777 == 0o700


@settings(derandomize=True, max_examples=50, deadline=None)
@given(models=st.dictionaries(st.integers(0, 10**6), st.tuples(st.integers(0, 10**6), st.binary(max_size=300))))
def test_any_number_of_models_of_any_length(tmp_path_factory, models):
    store = ModelStore(str(tmp_path_factory.mktemp("models")))
    checkpoints = store.write({(trial, calls): data for trial, (calls, data) in models.items()})
    assert {t: (c.calls, store.read(c)) for t, c in checkpoints.items()} == models


def test_a_file_is_seen_whole_or_not_at_all(tmp_path, monkeypatch):
    store = ModelStore(str(tmp_path))

    def fail(source, target):
        assert not list(tmp_path.glob("*.models"))  # all is written, nothing is to be seen
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        store.write({(1, 1): b"a"})
    assert list(tmp_path.iterdir()) == []


def test_a_model_is_read_without_the_others_of_its_file(tmp_path):
    store = ModelStore(str(tmp_path))
    checkpoint = store.write({(1, 1): b"first", (2, 1): b"second"})[2]
    path = tmp_path / checkpoint.file
    assert path.read_bytes()[checkpoint.offset :] == b"second"
    assert checkpoint == Checkpoint(2, 1, path.name, path.stat().st_size - 6, 6, checkpoint.digest)


def test_models_of_libraries_are_plain_pickles():
    model = SGDClassifier(random_state=0).fit(np.eye(4), [0, 1, 0, 1])
    data = dumps_model(model)
    assert b"cloudpickle" not in data
    np.testing.assert_array_equal(loads_model(data).coef_, model.coef_)


def test_a_model_of_a_local_class_or_with_a_lambda_can_be_stored():
    class Local:
        def __init__(self):
            self.double = lambda x: 2 * x

    assert loads_model(dumps_model(Local())).double(4) == 8


def test_a_model_of_a_script_can_be_read_elsewhere(tmp_path):
    script = """
import sys
from dhpo.storage.model_store import dumps_model
class Mine:
    answer = 42
open(sys.argv[1], "wb").write(dumps_model(Mine()))
"""
    path = tmp_path / "model"
    subprocess.run([sys.executable, "-c", script, str(path)], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert loads_model(path.read_bytes()).answer == 42


def test_a_model_that_cannot_be_pickled_says_so():
    with pytest.raises(TypeError, match="pickle"):
        dumps_model({"generator": (i for i in range(3))})


def test_a_model_that_was_changed_is_not_believed(store):
    checkpoint = store.write({(1, 1): b"some bytes", (2, 1): b"other"})[1]
    fs, root = fsspec.core.url_to_fs(store.url)
    path = f"{root}/{checkpoint.file}"
    content = fs.cat_file(path)
    for damaged in (content.replace(b"some", b"sand"), content[:-8], b""):
        fs.pipe_file(path, damaged)
        with pytest.raises(ModelLost, match="is damaged"):
            store.read(checkpoint)
    fs.pipe_file(path, content)
    assert store.read(checkpoint) == b"some bytes"
    assert store.files() == {checkpoint.file}
