"""The rows held out of a block: every row is on one side, and the share is right on average."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dhpo.data.holdout import default_test_size, fold_of_rows, one_block, split_rows

shares = st.floats(0.0, 1.0)


@settings(derandomize=True, deadline=None)
@given(st.integers(0, 200), shares, st.integers(0, 2**64), st.integers(0, 10_000))
def test_every_row_is_on_one_side(n_rows, test_size, entropy, block):
    training, validation = split_rows(n_rows, test_size, entropy, block)
    assert sorted([*training, *validation]) == list(range(n_rows))
    assert (np.diff(training) > 0).all()
    assert (np.diff(validation) > 0).all()
    assert abs(len(validation) - n_rows * test_size) < 1 or n_rows == 0


@settings(derandomize=True, deadline=None)
@given(st.integers(1, 50), shares, st.integers(0, 2**64), st.integers(0, 10_000))
def test_the_split_is_seeded(n_rows, test_size, entropy, block):
    for one, two in zip(*(split_rows(n_rows, test_size, entropy, block) for _ in range(2)), strict=True):
        np.testing.assert_array_equal(one, two)


def test_blocks_and_seeds_differ():
    splits = {tuple(split_rows(20, 0.5, entropy, block)[1]) for entropy in range(10) for block in range(10)}
    assert len(splits) == 100


@pytest.mark.parametrize("n_rows", [1, 2, 3, 7, 10])
@pytest.mark.parametrize("test_size", [0.05, 0.15, 0.2, 0.5])
def test_small_blocks_give_their_share_on_average(n_rows, test_size):
    n_blocks = 4000
    held_out = sum(len(split_rows(n_rows, test_size, 1, block)[1]) for block in range(n_blocks))
    deviation = 0.5 * np.sqrt(n_blocks)  # of a number that is rounded up or down
    assert abs(held_out - n_blocks * n_rows * test_size) < 4 * deviation


def test_every_row_of_a_block_has_the_same_chance():
    counts = np.zeros(5)
    for block in range(4000):
        counts[split_rows(5, 0.4, 2, block)[1]] += 1
    assert np.abs(counts - 1600).max() < 4 * np.sqrt(4000 * 0.4 * 0.6)


def test_nothing_and_everything_can_be_held_out():
    assert [len(part) for part in split_rows(7, 0.0, 0, 0)] == [7, 0]
    assert [len(part) for part in split_rows(7, 1.0, 0, 0)] == [0, 7]


@pytest.mark.parametrize(
    ("n_blocks", "n_rows", "share"),
    [
        (1, 10**6, 0.2),
        (5, 10**6, 0.2),
        (6, 10**6, 1 / 6),
        (100, 10**6, 0.01),
        (100, 10**9, 0.01),
        (2000, 10**6, 0.01),  # blocks of 500 rows: one of them would be too few
        (2000, 4000, 0.2),
        (20, 1437, 0.2),
        (1, 0, 0.2),
    ],
)
def test_by_default_one_block_is_held_out_or_enough_rows_to_tell_models_apart_or_a_fifth(n_blocks, n_rows, share):
    assert default_test_size(n_blocks, n_rows) == share


@pytest.mark.parametrize(("n_blocks", "share"), [(1, 0.2), (5, 0.2), (6, 1 / 6), (100, 0.01), (2000, 1 / 2000)])
def test_the_default_of_dask_ml_is_one_block_however_small(n_blocks, share):
    assert one_block(n_blocks, 4000) == share


labels = st.lists(st.sampled_from("abc"), min_size=1, max_size=60).map(np.array)


@settings(derandomize=True, deadline=None)
@given(labels, shares, st.integers(0, 2**64), st.integers(0, 10_000))
def test_every_class_gives_its_share(labels, test_size, entropy, block):
    training, validation = split_rows(len(labels), test_size, entropy, block, labels)
    assert sorted([*training, *validation]) == list(range(len(labels)))
    assert abs(len(validation) - len(labels) * test_size) < 1 + 1e-9
    for label in set(labels):
        assert abs((labels[validation] == label).sum() - (labels == label).sum() * test_size) < 1 + 1e-9


def test_a_rare_class_is_on_both_sides_over_blocks():
    labels = np.array([1] + [0] * 9)
    held_out = sum(0 in split_rows(10, 0.2, 3, block, labels)[1] for block in range(4000))
    assert abs(held_out - 800) < 4 * np.sqrt(4000 * 0.2 * 0.8)


@settings(derandomize=True, deadline=None)
@given(labels, st.integers(2, 7), st.integers(0, 2**64), st.integers(0, 10_000), st.booleans())
def test_folds_are_even_over_all_rows_and_over_each_class(labels, n_folds, entropy, block, stratified):
    folds = fold_of_rows(len(labels), n_folds, entropy, block, labels if stratified else None)
    for rows in [folds, *(folds[labels == label] for label in set(labels) if stratified)]:
        counts = np.bincount(rows, minlength=n_folds)
        assert len(counts) == n_folds
        assert counts.max() - counts.min() <= 1
    again = fold_of_rows(len(labels), n_folds, entropy, block, labels if stratified else None)
    np.testing.assert_array_equal(folds, again)


def test_a_row_alone_is_in_any_fold():
    folds = np.bincount([fold_of_rows(1, 5, 0, block)[0] for block in range(2000)], minlength=5)
    assert np.abs(folds - 400).max() < 4 * np.sqrt(2000 * 0.2 * 0.8)


@pytest.mark.parametrize("dtype", [">i2", ">i8", ">f8"])
def test_labels_of_another_byte_order_are_split_as_others(dtype):
    labels = np.arange(30) % 3
    split = split_rows(30, 0.2, 0, 0, labels.astype(dtype))
    for ours, expected in zip(split, split_rows(30, 0.2, 0, 0, labels), strict=True):
        np.testing.assert_array_equal(ours, expected)
