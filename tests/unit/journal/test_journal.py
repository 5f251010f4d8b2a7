"""A journal gives back what was written, sees any damage, and lets one process in."""

from __future__ import annotations

import fcntl
import functools
import json
import math
import os
import pickle
import random
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import loguniform, uniform
from sklearn.callback import ProgressBar
from sklearn.linear_model import SGDClassifier
from sklearn.preprocessing import StandardScaler

import dhpo
from dhpo.data.fingerprint import fingerprint
from dhpo.data.rows import Rows
from dhpo.errors import JournalError
from dhpo.history.codec import decode_event, encode_event
from dhpo.history.events import (
    Checkpoint,
    DataPrepared,
    Dropped,
    FitDone,
    ModelState,
    Planned,
    Promoted,
    Refitted,
    Reported,
    Reused,
    SplitScores,
    StartedFrom,
    StepDone,
    StepStats,
    Stopped,
    ThreadsCounted,
    TrialStarted,
)
from dhpo.history.history import History
from dhpo.history.judgement import BestJudged, ClassJudgement, NumberJudgement
from dhpo.history.values import decode_value, encode_value
from dhpo.journal import Header, Journal, describe
from dhpo.journal.description import differences
from dhpo.journal.journal import JournalReader
from dhpo.journal.lines import decode_lines, encode_line
from dhpo.journal.lock import LEASE_SECONDS
from dhpo.journal.stop_request import StopRequest
from dhpo.observers.base import Observers
from dhpo.observers.recorder import Recorder
from dhpo.schedules.plan import BracketPlan, Plan, Rung
from dhpo.space.parameter_range import ParameterRange
from dhpo.trial import Drop, Report, Train, Trial

ROOT = Path(dhpo.__file__).parent.parent
CHECKPOINT = Checkpoint(3, 9, "abc.models", 40, 1000, "ff00")
RANGES = {
    "alpha": ParameterRange("log", 1e-6, 1.0),
    "n": ParameterRange("linear", 1, 9, integers=True, choices=(1, 9)),
    "penalty": ParameterRange("category", choices=("l1", None, True)),
}
CLASSES = ClassJudgement(("a", "b"), ((0, 0, 7), (1, 0, 2)), {1: 0.5}, {1: ((0.0, 1.0), (0.0, 1.0))})
EVENTS = [
    Planned(Plan((BracketPlan(1, (Rung(3, 1), Rung(1, 3))),)), 0.25, "a search", {"alpha": "log"}, RANGES, 1.7e9),
    DataPrepared(20, 1800, 200, 5_000_000, 20, 0.5, "d1ge57"),
    TrialStarted(Trial(3, {"alpha": np.float64(1e-4), "penalty": None, "C": 2}, 4), 0.6, Train(3, 9, 4, 0)),
    TrialStarted(Trial(4, {}, 4), 0.6),
    ThreadsCounted(8, 0.55),
    StartedFrom("runs/a", True, False, "another metric", {7: {"C": 2, "f": (1, 2)}}, (({"C": None}, 0.5),), 0.6),
    Reused(3, 9, "runs/a", 0.7, (ModelState(3, 9, CHECKPOINT, 0.1, 0.2),)),
    Reused(4, 9, "runs/a", 0.7),
    StepDone({3: 9}, StepStats(calls=9, fit_seconds=0.1), 1.0, (ModelState(3, 9, CHECKPOINT, 0.1, 0.2, writes=True),)),
    StepDone({3: 9}, StepStats(), 1.0, (ModelState(3, 0, None),)),
    Reported(Report(3, 9, 0.75, 0.1, 0.2), 1.1, (SplitScores({"score": 0.75}, None, 0.1, 0.2),)),
    Reported(Report(4, 2, math.nan, error="Traceback:\n  é"), 1.1, (SplitScores({}, {"a": -math.inf}, error="no"),)),
    Promoted(Train(3, 27, 4, 1), 1.2),
    Dropped(Drop(3, "not promoted"), 1.3),
    FitDone(3, 1, SplitScores({"a": 0.5}, {"a": math.nan}, 0.1, 0.2), 1.3, True, ("Traceback",)),
    Refitted(3, CHECKPOINT, 1.4, 0.5),
    BestJudged(3, 9, CLASSES, 1.4),
    BestJudged(3, 9, NumberJudgement(2, {"R²": math.inf}, (1.0, 2.0), (1.5, 2.0), (-0.5, 0.0), (2,)), 1.4),
    Stopped("done", 1.5),
    Stopped("failed", 1.5, "SearchFailed: <é>\nTraceback"),
]


@pytest.fixture(params=["path", "file URL", "memory URL"])
def url(request, tmp_path):
    memory, name = fsspec.filesystem("memory"), f"/journal-{uuid.uuid4().hex}"
    yield {"path": tmp_path / "runs" / "a", "file URL": f"file://{tmp_path}/a"}.get(request.param, f"memory:/{name}")
    if memory.exists(name):
        memory.rm(name, recursive=True)


def written(url, events=EVENTS, identity=None):
    journal = Journal(url)
    journal.begin(Header(identity or {"max_iter": "81"}, 2**127 + 1, {4: 0}))
    for event in events:
        journal.append(event)
    journal.commit()
    journal.close()


# -- events


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_events_survive_json(event):
    # By repr: nan is not equal to nan, and types count.
    assert repr(decode_event(json.loads(json.dumps(encode_event(event), allow_nan=False)))) == repr(event)


VALUES = [
    *[None, True, 0, -(2**70), 1.5, math.inf, "a\n", [1, [2.0]], (1, "b"), {"a": (1,)}, {1: 2}, {"tuple": [1]}],
    *[np.float64(0.1), np.float32(0.1), np.int64(-3), np.bool_(True), np.float64(-math.inf), np.str_("l1")],
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_of_parameters_keep_value_and_type(value):
    back = decode_value(json.loads(json.dumps(encode_value(value), allow_nan=False)))
    assert repr(back) == repr(value)
    assert type(back) is type(value)


@pytest.mark.parametrize("value", [StandardScaler(), print, np.arange(3), lambda: 7], ids=["est", "function", "a", "l"])
def test_what_json_has_no_word_for_is_pickled(value):
    back = decode_value(json.loads(json.dumps(encode_value(value))))
    assert describe(back) == describe(value)


def test_nan_is_a_value():
    assert math.isnan(decode_value(json.loads(json.dumps(encode_value(math.nan), allow_nan=False))))


# -- lines


RECORDS = [{"a": 1}, {"text": "ünï\n\r\u2028"}, {}, {"deep": {"list": [1.5, None]}}]
LINES = b"".join(encode_line(n, record) for n, record in enumerate(RECORDS))


def test_each_line_is_json_with_its_number():
    lines = [json.loads(line) for line in LINES.decode().split("\n")[:-1]]
    assert [line["n"] for line in lines] == [0, 1, 2, 3]
    assert decode_lines(LINES, "j") == (RECORDS, len(LINES))


@pytest.mark.parametrize("length", range(len(LINES)))
def test_a_torn_line_was_never_written(length):
    records, good = decode_lines(LINES[:length], "j")
    assert records == RECORDS[: len(records)]
    assert LINES[:good] == b"".join(encode_line(n, record) for n, record in enumerate(records))
    assert length - good < max(map(len, LINES.split(b"\n"))) + 1


@settings(derandomize=True, max_examples=1000, deadline=None)
@given(position=st.integers(0, len(LINES) - 1), byte=st.integers(1, 255))
def test_a_changed_byte_is_never_believed(position, byte):
    damaged = bytearray(LINES)
    damaged[position] ^= byte
    if position < LINES[:-1].rindex(b"\n") or (position < len(LINES) - 1 and damaged[position : position + 1] == b"\n"):
        with pytest.raises(JournalError, match=r"line \d+ of runs/a/journal\.jsonl is damaged"):
            decode_lines(bytes(damaged), "runs/a/journal.jsonl")
    else:  # the last lines: they count as torn
        records, _ = decode_lines(bytes(damaged), "j")
        assert records == RECORDS[: len(records)]
        assert len(RECORDS) - len(records) in (1, 2)


def test_lines_that_are_lost_or_change_places_are_damage():
    lines = [line + b"\n" for line in LINES.split(b"\n")[:-1]]
    for order in ([0, 2, 3], [1, 0, 2, 3], [0, 1, 1, 2, 3]):
        with pytest.raises(JournalError, match="is damaged"):
            decode_lines(b"".join(lines[i] for i in order), "j")


# -- the journal


def test_what_was_written_is_read(url):
    written(url)
    journal = Journal(url)
    assert repr(journal.events) == repr(EVENTS)
    assert journal.header == Header({"max_iter": "81"}, 2**127 + 1, {4: 0}, version=dhpo.__version__)
    journal.append(Stopped("stopped", 2.0))
    journal.commit()
    journal.close()
    reader = JournalReader(url)
    events, models = reader.new_events(), reader.models
    assert repr(events) == repr([*EVENTS, Stopped("stopped", 2.0)])
    assert models.files() == set()


def test_what_is_new_is_read_while_another_process_writes(url):
    journal = Journal(url)
    journal.begin(Header({}, 1))
    reader = JournalReader(url)
    assert reader.in_use
    found = []
    for event in EVENTS:
        journal.append(event)
        assert reader.new_events() == []
        journal.commit()
        found += reader.new_events()
    assert repr(found) == repr(EVENTS)
    journal.close()
    assert not reader.in_use


def test_a_torn_line_is_read_when_it_is_whole(tmp_path):
    written(tmp_path)
    file = tmp_path / "journal.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole[:-10])
    reader = JournalReader(tmp_path)
    assert repr(reader.new_events()) == repr(EVENTS[:-1])
    file.write_bytes(whole)
    assert repr(reader.new_events()) == repr(EVENTS[-1:])


def test_events_that_come_while_others_are_written_are_not_lost(tmp_path, monkeypatch):
    journal = Journal(tmp_path)
    journal.begin(Header({}, 1))
    write = journal._log.write

    def slow(data):
        journal.append(EVENTS[1])  # as the driver does from its own thread
        write(data)

    journal.append(EVENTS[0])
    monkeypatch.setattr(journal._log, "write", slow)
    journal.commit()
    monkeypatch.setattr(journal._log, "write", write)
    journal.commit()
    journal.close()
    assert repr(JournalReader(tmp_path).new_events()) == repr(EVENTS[:2])


def test_what_could_not_be_written_is_written_by_the_next_commit(tmp_path, monkeypatch):
    journal = Journal(tmp_path)
    journal.begin(Header({}, 1))
    write = journal._log.write

    def fails(data):
        raise OSError("no space left")

    journal.append(EVENTS[0])
    monkeypatch.setattr(journal._log, "write", fails)
    with pytest.raises(OSError, match="no space left"):
        journal.commit()
    monkeypatch.setattr(journal._log, "write", write)
    journal.append(EVENTS[1])
    journal.commit()
    journal.close()
    assert repr(JournalReader(tmp_path).new_events()) == repr(EVENTS[:2])


def test_those_who_look_are_not_taken_for_the_search(tmp_path):
    written(tmp_path)
    readers = [JournalReader(tmp_path) for _ in range(3)]
    descriptor = os.open(tmp_path / "lock", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)  # as one does who looks just now
    assert not any(reader.in_use for reader in readers)
    os.close(descriptor)


def test_threads_that_record_and_commit_at_a_time_lose_nothing(tmp_path):
    journal = Journal(tmp_path)
    journal.begin(Header({}, 1))
    over = threading.Event()

    def commit():
        while not over.is_set():
            journal.commit()

    threads = [threading.Thread(target=commit) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(2_000):
        journal.append(EVENTS[0])
    over.set()
    for thread in threads:
        thread.join()
    journal.commit()
    journal.close()
    assert len(JournalReader(tmp_path).new_events()) == 2_000


@pytest.mark.parametrize("at_once", [False, True])
def test_another_process_asks_for_the_end(url, at_once):
    Journal(url).close()
    StopRequest(*fsspec.core.url_to_fs(str(url))).make(False)  # to a search that is over: nothing to this one
    journal = Journal(url)
    journal.begin(Header({}, 1))
    assert journal.stop_request.look() is None
    JournalReader(url).stop_request.make(at_once)
    assert StopRequest(*fsspec.core.url_to_fs(str(url))).look() is at_once
    journal.stop_request.withdraw()
    assert StopRequest(*fsspec.core.url_to_fs(str(url))).look() is None
    journal.close()


def test_what_was_not_committed_is_not_there(url):
    journal = Journal(url)
    journal.begin(Header({}, 1))
    journal.append(EVENTS[0])
    assert JournalReader(url).new_events() == []
    journal.commit()
    assert JournalReader(url).new_events() == EVENTS[:1]
    journal.close()


def test_a_torn_line_is_repaired(tmp_path):
    written(tmp_path)
    file = tmp_path / "journal.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole[:-10])
    journal = Journal(tmp_path)
    assert repr(journal.events) == repr(EVENTS[:-1])
    journal.append(EVENTS[-1])
    journal.commit()
    journal.close()
    assert file.read_bytes() == whole


def test_how_an_earlier_process_ended_is_nothing_to_the_search_that_goes_on(tmp_path):
    written(tmp_path)
    journal = Journal(tmp_path)
    earlier = Recorder(History(), Observers(), journal, stop=print).earlier
    journal.close()
    assert repr(earlier) == repr([event for event in EVENTS if not isinstance(event, Stopped)])
    assert len(earlier) == len(EVENTS) - 2


def test_a_torn_object_is_repaired():
    url = f"memory://torn-{uuid.uuid4().hex}"
    written(url)
    fs, root = fsspec.core.url_to_fs(url)
    last = sorted(fs.ls(f"{root}/journal", detail=False))[-1]
    fs.pipe_file(last, fs.cat_file(last)[:-10])
    written_again = Journal(url)
    written_again.append(EVENTS[-1])
    written_again.commit()
    written_again.close()
    assert repr(JournalReader(url).new_events()) == repr(EVENTS)
    fs.rm(root, recursive=True)


def test_another_search_is_refused_with_the_difference(url):
    written(url)
    journal = Journal(url)
    journal.begin(Header({"max_iter": "81"}, 2**127 + 1))
    with pytest.raises(JournalError, match=r"max_iter was 81, and is 27; random_state was seed \d+, and is seed 3"):
        journal.begin(Header({"max_iter": "27"}, 3))
    journal.close()


def test_another_version_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(dhpo, "__version__", "7.1.0")
    written(tmp_path)
    monkeypatch.setattr(dhpo, "__version__", "8.0.0")
    journal = Journal(tmp_path)
    with pytest.raises(JournalError, match=r"dhpo was 7\.1\.0, and is 8\.0\.0"):
        journal.begin(Header({"max_iter": "81"}, 2**127 + 1))
    journal.close()
    (tmp_path / "journal.jsonl").write_bytes(encode_line(0, {"event": "search", "format": 99, "version": "9.9"}))
    with pytest.raises(JournalError, match=r"has format 99 of dhpo 9\.9"):
        Journal(tmp_path)


def test_an_event_of_the_future_is_refused(tmp_path):
    written(tmp_path, [])
    with (tmp_path / "journal.jsonl").open("ab") as file:
        file.write(encode_line(1, {"event": "teleported"}))
    with pytest.raises(JournalError, match="'teleported' is no event that this version knows"):
        Journal(tmp_path)


def test_the_folder_is_the_owners_alone(tmp_path):
    written(tmp_path / "new" / "run")
    assert (tmp_path / "new" / "run").stat().st_mode & 0o077 == 0
    assert (tmp_path / "new" / "run" / "journal.jsonl").stat().st_mode & 0o077 == 0


def test_nothing_to_load(url):
    with pytest.raises(FileNotFoundError, match="is no journal of a search"):
        dhpo.load(url)


# -- one process at a time


def test_a_second_search_is_refused_until_the_first_ends(url):
    journal = Journal(url)
    with pytest.raises(JournalError, match=rf"is in use by process {os.getpid()} on "):
        Journal(url)
    journal.close()
    Journal(url).close()


def test_the_lock_ends_with_a_process_that_is_killed(tmp_path):
    code = f"""
import time
from dhpo.journal import Journal
journal = Journal({str(tmp_path)!r})
print("open", flush=True)
time.sleep(600)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    try:
        assert process.stdout.readline() == "open\n"
        with pytest.raises(JournalError, match=f"is in use by process {process.pid} on "):
            Journal(tmp_path)
    finally:
        process.kill()
        process.communicate()
    Journal(tmp_path).close()


def test_a_lease_without_a_sign_of_life_runs_out(monkeypatch):
    url = f"memory://lease-{uuid.uuid4().hex}"
    dead = Journal(url)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + LEASE_SECONDS - 5)
    with pytest.raises(JournalError, match="is in use"):
        Journal(url)
    monkeypatch.setattr(time, "time", lambda: now + LEASE_SECONDS + 5)
    heir = Journal(url)
    dead.close()  # does not take the lock of the other
    with pytest.raises(JournalError, match="is in use"):
        Journal(url)
    heir.close()
    Journal(url).close()
    fsspec.filesystem("memory").rm(url.removeprefix("memory:/"), recursive=True)


# -- identity


SAME = [
    lambda: SGDClassifier(alpha=0.1),
    lambda: {"a": loguniform(1e-4, 1), "b": [1, 2]},
    lambda: uniform(loc=1, scale=2),
    lambda: np.arange(1000),
    lambda: sp.eye_array(3),
    lambda: functools.partial(print, end=""),
    lambda: test_nothing_to_load,
    lambda: object.__new__(type("Scorer", (), {})),
]


@pytest.mark.parametrize("make", SAME)
def test_equal_values_are_described_alike(make):
    assert describe(make()) == describe(make())
    assert "0x" not in describe(make())


def test_functions_of_packages_are_described_by_name():
    assert describe(np.mean) == "numpy.mean"
    assert describe(np.exp) == "numpy.exp"
    assert describe(SGDClassifier) == "sklearn.linear_model._stochastic_gradient.SGDClassifier"


def test_descriptions_differ_where_values_do():
    values = [
        SGDClassifier(alpha=0.1),
        SGDClassifier(alpha=0.2),
        SGDClassifier(),
        loguniform(1e-4, 1),
        loguniform(1e-4, 2),
        uniform(1, 2),
        uniform(loc=1, scale=2.5),
        np.arange(1000),
        np.arange(1000) + (np.arange(1000) == 500),
        functools.partial(print, end=""),
        functools.partial(print, end="x"),
        print,
        [1, 2],
        [2, 1],
        {"a": 1},
        {"a": "1"},
    ]
    assert len({describe(value) for value in values}) == len(values)


def test_differences_name_what_is_not_the_same():
    assert differences({"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "4", "d": "5"}) == [
        "b was 2, and is 4",
        "c was 3, and is not there",
        "d was not there, and is 5",
    ]


# -- data


FRAME = pd.DataFrame({"n": [1.0, np.nan, 3.0], "s": ["a", None, "c"], "c": pd.Categorical(["x", "y", "x"])})
ROWS = {
    "array": Rows(np.arange(12.0).reshape(4, 3), np.arange(4), np.ones(4)),
    "other order": Rows(np.asfortranarray(np.arange(12.0).reshape(4, 3)[::-1]), np.arange(4), np.ones(4)),
    "other type": Rows(np.arange(12).reshape(4, 3), np.arange(4), np.ones(4)),
    "no weights": Rows(np.arange(12.0).reshape(4, 3), np.arange(4)),
    "weights for y": Rows(np.arange(12.0).reshape(4, 3), None, np.arange(4)),
    "other shape": Rows(np.arange(12.0).reshape(3, 4), np.arange(4), np.ones(4)),
    "sparse": Rows(sp.eye_array(4, format="csr"), np.arange(4)),
    "frame": Rows(FRAME, np.array(["a", "b", "c"], dtype=object)),
    "another frame": Rows(FRAME.rename(columns={"n": "m"}), np.array(["a", "b", "c"], dtype=object)),
    "another label": Rows(FRAME, np.array(["a", "b", "d"], dtype=object)),
    "missing": Rows(FRAME.assign(s=["a", "b", "c"]), np.array(["a", "b", "c"], dtype=object)),
    "empty": Rows(np.empty((0, 3)), np.empty(0)),
}


def test_fingerprints_differ_where_rows_do():
    assert len({fingerprint(rows) for rows in ROWS.values()}) == len(ROWS)


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
def test_fingerprints_are_those_of_the_values(rows):
    copy = pickle.loads(pickle.dumps(tuple(rows)))
    assert fingerprint(Rows(*copy)) == fingerprint(rows)
    if sp.issparse(rows.X):
        assert fingerprint(Rows(rows.X.tocoo(), rows.y)) == fingerprint(rows)


def test_any_value_counts():
    rng = random.Random(0)
    X = np.zeros((50, 20), dtype=np.float32)
    before = fingerprint(Rows(X))
    for _ in range(20):
        changed = X.copy()
        changed[rng.randrange(50), rng.randrange(20)] = 1e-30
        assert fingerprint(Rows(changed)) != before


def class_of_ones_own(factor=1, name="predict", kind=lambda method: method, limit=3):
    """A class as a user writes it into a script, and corrects it before the next run."""

    class Base:
        LIMIT = limit

    def method(self, X=None):
        return X * 2 if factor == 1 else X * 3

    codes = {1: method, 2: lambda self, X=None: X * 3}
    setattr(Base, name, kind(codes[factor]))
    return type("Model", (Base,), {"__module__": "__main__", "__qualname__": "Model"})()


def test_a_class_that_was_corrected_is_another():
    changed = [
        class_of_ones_own(),
        class_of_ones_own(factor=2),
        class_of_ones_own(name="score"),
        class_of_ones_own(limit=4),
        class_of_ones_own(name="score", factor=2, kind=property),
        class_of_ones_own(name="score", factor=1, kind=property),
        class_of_ones_own(name="make", factor=1, kind=classmethod),
        class_of_ones_own(name="make", factor=2, kind=classmethod),
    ]
    for value in changed:
        value.state = 1
    assert len({describe(value) for value in changed}) == len(changed)
    again = class_of_ones_own()
    again.state = 1
    assert describe(again) == describe(changed[0])
    assert "[" not in describe(SGDClassifier())


def test_a_search_is_the_same_whoever_watches_it():
    assert describe(StandardScaler().set_callbacks(ProgressBar())) == describe(StandardScaler())


def test_rows_of_dicts_and_lists_have_a_fingerprint():
    def rows(last):
        values = np.empty((3, 1), dtype=object)
        values[:, 0] = [{"a": 1, "b": [2]}, [1, 2], last]
        return Rows(values)

    assert fingerprint(rows({"b": 1, "a": 2})) == fingerprint(rows({"a": 2, "b": 1}))
    assert fingerprint(rows({"a": 2})) != fingerprint(rows({"a": 3}))
    frame = pd.DataFrame({"a": [{"x": 1}, {"x": 2}]})
    assert fingerprint(Rows(frame)) != fingerprint(Rows(frame.iloc[::-1]))
