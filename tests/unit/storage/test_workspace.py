"""The folder of a search: private, found by workers that share it, and gone when the search is."""

from __future__ import annotations

import gc
from pathlib import Path

import dask
import pytest

from dhpo.storage.workspace import Workspace, holds_token


@pytest.fixture
def parent(tmp_path):
    with dask.config.set(temporary_directory=str(tmp_path / "deep" / "down")):
        yield tmp_path / "deep" / "down"


@pytest.fixture
def workspace(parent):
    workspace = Workspace()
    yield workspace
    workspace.remove()


def test_it_lies_in_the_temporary_directory_of_dask(workspace, parent):
    assert workspace.path.parent == parent
    assert workspace.path.name == f"dhpo-{workspace.run}"
    assert workspace.path.is_absolute()


def test_it_lies_in_the_temporary_directory_of_the_system_if_dask_names_none(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with dask.config.set(temporary_directory=None):
        workspace = Workspace()
    assert workspace.path.parent == tmp_path
    workspace.remove()


def test_only_its_owner_can_look_into_it(workspace):
    for path in (workspace.path, workspace.scratch, workspace.path / "models"):
        assert path.stat().st_mode & 0o777 == 0o700


def test_searches_do_not_share_a_folder(workspace):
    other = Workspace()
    assert other.run != workspace.run
    other.remove()
    assert workspace.path.exists()


def test_models_can_be_stored_at_once(workspace):
    checkpoint = workspace.models.write({(1, 1): b"model"})[1]
    assert workspace.models.read(checkpoint) == b"model"
    assert next(workspace.path.glob("models/*")).name == checkpoint.file


def test_removed_it_is_gone_with_all_that_is_in_it(workspace, parent):
    (workspace.scratch / "rows").write_text("rows")
    for _ in range(2):
        workspace.remove()
        assert list(parent.iterdir()) == []


def test_what_was_written_after_its_removal_goes_with_a_second_one(workspace, parent):
    workspace.remove()
    workspace.scratch.mkdir(parents=True)  # by a step that was under way
    workspace.remove()
    assert list(parent.iterdir()) == []


def test_it_goes_with_the_object(parent):
    workspace = Workspace()
    path = workspace.path
    del workspace
    gc.collect()
    assert not path.exists()


def test_a_process_that_shares_the_folder_holds_the_token(workspace):
    before = sorted(workspace.path.rglob("*"))
    assert holds_token(*workspace.token)
    assert sorted(workspace.path.rglob("*")) == before


def test_a_process_that_sees_another_folder_or_none_does_not(workspace, tmp_path):
    path, token = workspace.token
    assert not holds_token(path, "another")
    assert not holds_token(str(tmp_path / "nowhere" / "token"), token)


def test_a_process_that_may_not_write_there_does_not(workspace, monkeypatch):
    def refuse(self, *args, **kwargs):
        raise PermissionError("read-only file system")

    monkeypatch.setattr(Path, "touch", refuse)
    assert not holds_token(*workspace.token)
