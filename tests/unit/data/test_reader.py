"""How a worker gets the rows of a block, and what the first look at it finds out."""

from __future__ import annotations

import operator
import pickle
import shutil
from collections import namedtuple

import numpy as np
import pytest
import tblib.pickling_support

from dhpo.data import scratch_copies
from dhpo.data.blocks import Block, Piece
from dhpo.data.holdout import Split, split_rows
from dhpo.data.read_errors import BlockUnreadable
from dhpo.data.reader import HELD_OUT, BlockSpec, load_fold, load_training, load_validation, prepare
from dhpo.data.rows import Rows
from dhpo.data.scratch_copies import CopiesWriter

X = np.arange(20.0).reshape(10, 2)
Y = np.array(list("abcabcabca"))
MANY = 1e9  # reads: copying pays


def block(index=3, X=X, y=Y):
    return Block(index, {"x": X, "y": y}, ((Piece("x"),), (Piece("y"),), None))


def spec(**kwargs):
    return BlockSpec(3, data=block(**kwargs).dumps())


def look(spec, split, reads=0.0, with_classes=True, free=0.0, supplied=None):
    with CopiesWriter(split.scratch) as writer:
        facts, training, validation = prepare(
            spec,
            split,
            with_classes=with_classes,
            reads=reads,
            free_bytes_needed_per_byte=free,
            copies=writer,
            supplied=supplied,
        )
        return facts, training(), validation


def copied(facts):
    """The block as steps know it, without its graph."""
    return BlockSpec(facts.index, copies=facts.copies)


def load_one(spec, split, supplied=None):
    (rows,) = load_validation([spec], split, supplied)
    return rows


def assert_rows(rows, where):
    np.testing.assert_array_equal(rows.X, X[where])
    np.testing.assert_array_equal(rows.y, Y[where])


@pytest.fixture
def split(tmp_path):
    return Split(0.3, 5, str(tmp_path))


def test_rows_are_split_as_the_seed_and_the_number_of_the_block_say():
    training, validation = split_rows(10, 0.3, 5, 3)
    split = Split(0.3, 5)
    assert_rows(load_training(spec(), split), training)
    assert_rows(load_one(spec(), split), validation)


def test_all_rows_are_trained_on_and_scored_on_where_validation_data_is_given():
    split = Split(None, 5)
    assert_rows(load_training(spec(), split), slice(None))
    assert_rows(load_one(spec(), split), slice(None))


def test_the_first_look_finds_the_facts(split):
    facts, training, validation = look(spec(), Split(0.3, 5))
    assert (facts.index, facts.n_training, facts.n_validation) == (3, len(training), len(validation))
    assert facts.n_training + facts.n_validation == 10
    assert (facts.nbytes, facts.validation_nbytes) == (training.nbytes, validation.nbytes)
    assert (facts.materialised, facts.error) == (False, None)
    assert facts.classes.tolist() == ["a", "b", "c"]
    assert_rows(training, split_rows(10, 0.3, 5, 3)[0])
    assert look(spec(), split, with_classes=False)[0].classes is None


def test_classes_are_those_of_all_rows():
    y = np.array([0] * 9 + [1])
    for entropy in range(20):
        assert look(spec(y=y), Split(0.3, entropy))[0].classes.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (np.array([1.0, 2.0, np.nan] * 3 + [1.0]), "missing or continuous values"),
        (np.arange(10) / 3, "missing or continuous values"),
        (np.array(["a", None] * 5, dtype=object), "mixes types or has missing values"),
        (np.zeros((10, 2)), "y has 2 dimensions: pass classes="),
    ],
)
def test_targets_that_are_no_labels_are_a_fact_and_no_exception(y, words):
    facts = look(spec(y=y), Split(0.3, 5))[0]
    assert words in facts.no_classes
    assert facts.error is None  # of no matter where the user told the classes
    assert look(spec(y=y), Split(0.3, 5), with_classes=False)[0].no_classes is None


def test_a_mismatch_is_a_fact_and_no_exception(split):
    facts, training, validation = look(spec(y=Y[:4]), split, reads=MANY)
    assert "block 3 of X has 10 rows and of y 4" in facts.error
    assert (len(training), len(validation), facts.materialised) == (0, 0, False)


def test_nothing_is_held_out_where_validation_data_is_given(tmp_path):
    facts, training, validation = look(spec(), Split(None, 5, str(tmp_path)), reads=MANY)
    assert (facts.n_training, facts.n_validation, len(validation)) == (10, 0, 0)
    assert_rows(training, slice(None))
    assert "valid" not in facts.copies


def test_a_block_that_is_dear_to_compute_is_copied_and_read_from_the_copy(split, tmp_path):
    facts, training, validation = look(spec(), split, reads=MANY)
    assert facts.materialised
    for rows, expected in (
        (load_training(copied(facts), split), training),
        (load_one(copied(facts), split), validation),
    ):
        np.testing.assert_array_equal(rows.X, expected.X)
        np.testing.assert_array_equal(rows.y, expected.y)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_block_that_is_never_read_again_is_not_copied_but_for_its_validation_rows(split, tmp_path):
    facts = look(spec(), split, reads=0.0)[0]
    assert not facts.materialised
    assert list(facts.copies) == ["valid"]
    assert_rows(load_one(copied(facts), split), split_rows(10, 0.3, 5, 3)[1])


def test_a_disk_without_room_gets_no_copy(split, monkeypatch):
    usage = namedtuple("usage", "free")
    nbytes = look(spec(), split)[1].nbytes
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(nbytes * 8))
    assert not look(spec(), split, reads=MANY, free=8.0)[0].materialised
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(nbytes * 8 + 1))
    assert look(spec(), split, reads=MANY, free=8.0)[0].materialised


def test_data_on_the_cluster_is_supplied_and_copied(split):
    made = Block(3, {"x": (operator.add, "there", 1.0)}, ((Piece("x"),), None, None))
    lent = BlockSpec(3, data=made.dumps(), supplied=("there",))
    facts, _, _ = look(lent, split, reads=0.0, supplied={"there": X - 1})
    assert facts.materialised
    np.testing.assert_array_equal(load_training(copied(facts), split).X, X[split_rows(10, 0.3, 5, 3)[0]])
    np.testing.assert_array_equal(load_training(lent, Split(None, 5), {"there": X - 1}).X, X)


def test_validation_rows_that_come_with_the_task_are_taken():
    rows, key = Rows(X), (HELD_OUT, 0, 5)
    assert load_one(BlockSpec(3, supplied=(key,)), Split(0.3, 5), {key: {3: rows}}) is rows


def test_the_rows_of_a_fold_are_read_from_their_copies_or_computed(tmp_path):
    split = Split(None, 5, str(tmp_path), n_folds=3)
    facts = look(spec(), split)[0]
    folds = split.folds(spec().load(), 3)
    for fold in range(3):
        for given in (copied(facts), spec()):
            (rows,) = load_fold([given], split, fold)
            assert_rows(rows, folds == fold)


def test_copies_of_many_blocks_are_one_file(split, tmp_path):
    with CopiesWriter(split.scratch) as writer:
        places = [writer.write(Rows(X + number, Y)) for number in range(5)]
        assert [path.suffix for path in tmp_path.iterdir()] == [".partial"]
    assert len(list(tmp_path.iterdir())) == 1
    for number in (3, 0, 4):
        (rows,) = scratch_copies.read_copies(split.scratch, [places[number]])
        np.testing.assert_array_equal(rows.X, X + number)
    several = scratch_copies.read_copies(split.scratch, [places[4], places[1]])
    assert [rows.X[0, 0] for rows in several] == [4, 1]


def test_a_graph_can_come_by_file(tmp_path):
    path = tmp_path / "block"
    path.write_bytes(block().dumps())
    assert_rows(BlockSpec(3, path=str(path)).load(), slice(None))


def test_a_block_without_a_graph_is_named():
    with pytest.raises(ValueError, match="block 3 came without its graph"):
        load_training(BlockSpec(3), Split(0.3, 5))


def test_copies_are_there_whole_or_not_at_all(split, tmp_path, monkeypatch):
    def fail(rows, file, protocol):
        file.write(b"half of it")
        raise OSError("disk full")

    monkeypatch.setattr(scratch_copies.pickle, "dump", fail)
    with pytest.raises(OSError, match="disk full"):
        look(spec(), split, reads=MANY)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_block_can_be_looked_at(split):
    facts, training, validation = look(spec(X=X[:0], y=Y[:0]), split, reads=MANY)
    assert (facts.n_training, facts.n_validation, facts.error) == (0, 0, None)
    assert facts.classes.tolist() == []
    assert len(training) == len(validation) == 0


def test_there_are_no_copies_without_a_shared_folder():
    assert look(spec(), Split(0.3, 5), reads=MANY)[0].copies == {}


class Trouble(Exception):
    """An error that cannot be pickled as it was raised."""

    def __init__(self, one, other):
        super().__init__(one)


def test_a_block_that_cannot_be_read_is_named_with_its_file(tmp_path):
    path = str(tmp_path / "gone.npy")
    lost = Block(7, {"x": (np.load, path)}, ((Piece("x"),), None, None))
    with pytest.raises(
        BlockUnreadable, match=r"block 7 \(of .*gone.npy\) could not be read: FileNotFoundError"
    ) as seen:
        BlockSpec(7, data=lost.dumps()).load()
    assert isinstance(seen.value.original, FileNotFoundError)
    assert str(pickle.loads(pickle.dumps(seen.value))) == str(seen.value)


def test_the_file_is_found_in_the_graph_where_the_error_does_not_tell(tmp_path):
    path = tmp_path / "data.bin"
    path.write_bytes(b"no rows")

    def fail(path):
        raise Trouble("torn", 1)

    tblib.pickling_support.install(BlockUnreadable)  # as Dask does once it has sent such an error
    lost = Block(7, {"x": (fail, str(path))}, ((Piece("x"),), None, None))
    with pytest.raises(BlockUnreadable, match=r"block 7 \(of .*data.bin\) could not be read: Trouble: torn") as seen:
        BlockSpec(7, data=lost.dumps()).load()
    assert seen.value.original is None
    assert str(pickle.loads(pickle.dumps(seen.value))) == str(seen.value)
