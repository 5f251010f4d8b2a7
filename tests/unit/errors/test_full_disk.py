"""Where there is no room to write, the error names the folder and the setting, and nothing that was safe is lost."""

from __future__ import annotations

import errno
import resource
from contextlib import contextmanager

import numpy as np
import pytest

from dhpo.data.blocks import Block, Piece
from dhpo.data.holdout import Split
from dhpo.data.reader import BlockSpec, prepare
from dhpo.data.scratch_copies import CopiesWriter
from dhpo.errors.full_disk import JOURNAL, TEMPORARY, says_where
from dhpo.history.events import Dropped
from dhpo.journal import Header, Journal
from dhpo.storage.model_store import ModelStore
from dhpo.storage.workspace import Workspace
from dhpo.trial import Drop
from dhpo.worker.breadcrumbs import CrumbTrail, read_crumb

HEADER = Header({"search": "a test"}, 7)


@contextmanager
def files_up_to(nbytes):
    """No file of this process grows beyond; what is tried is written as far as it goes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_the_folder_and_the_setting_are_named(number):
    said = r"cannot write to /a/b\. Make room there, or name another place by that\."
    with pytest.raises(OSError, match=said) as raised, says_where("/a/b", "that"):
        raise OSError(number, "no room")
    assert raised.value.errno == number


def test_another_error_stays_what_it_is():
    with pytest.raises(PermissionError, match="keep out"), says_where("/a/b", "that"):
        raise PermissionError(errno.EACCES, "keep out")


@pytest.mark.parametrize(("durable", "setting"), [(False, TEMPORARY), (True, JOURNAL)])
def test_models(tmp_path, durable, setting):
    store = ModelStore(str(tmp_path), durable=durable)
    with files_up_to(1000), pytest.raises(OSError, match="cannot write to") as raised:
        store.write({(0, 1): b"x" * 5000})
    assert str(tmp_path) in str(raised.value)
    assert setting in str(raised.value)
    assert not list(tmp_path.iterdir())
    assert store.read(store.write({(0, 1): b"x" * 5000})[0]) == b"x" * 5000


def test_copies_of_blocks(tmp_path):
    block = Block(0, {"x": np.ones((10, 2)), "y": np.arange(10) % 2}, ((Piece("x"),), (Piece("y"),), None))
    spec = BlockSpec(0, data=block.dumps())
    split = Split(0.3, 5, str(tmp_path))
    with (
        files_up_to(100),
        pytest.raises(OSError, match="cannot write to") as raised,
        CopiesWriter(str(tmp_path)) as copies,
    ):
        prepare(spec, split, with_classes=False, reads=1e9, free_bytes_needed_per_byte=1.0, copies=copies)
    assert str(tmp_path) in str(raised.value)
    assert TEMPORARY in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_the_folder_of_a_search(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("dhpo.storage.workspace.Path.mkdir", full)
    with pytest.raises(OSError, match=r"cannot write to .*journal= of fit"):
        Workspace(tmp_path)


def test_a_step_that_cannot_begin_is_not_taken_for_dead(tmp_path):
    path = str(tmp_path / "step.crumb")
    with files_up_to(10), pytest.raises(OSError, match="cannot write to"):
        CrumbTrail(path)
    trail = CrumbTrail(path)
    trail.note(3, 4)
    assert read_crumb(path).model == 3
    trail.remove()


def test_a_journal_that_had_no_room_for_a_while_lacks_nothing(tmp_path):
    journal = Journal(tmp_path)
    journal.begin(HEADER)
    size = (tmp_path / "journal.jsonl").stat().st_size
    for number in range(50):
        journal.append(Dropped(Drop(number, "finished"), 0.5))
    with files_up_to(size + 500), pytest.raises(OSError, match=r"cannot write to .*journal= of fit"):
        journal.commit()
    assert (tmp_path / "journal.jsonl").stat().st_size == size  # no half line
    journal.append(Dropped(Drop(50, "finished"), 0.5))
    journal.commit()
    journal.close()
    again = Journal(tmp_path)
    assert [event.drop.trial for event in again.events] == list(range(51))
    again.close()
