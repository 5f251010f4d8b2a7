"""Models on more and more rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsClassifier

from dhpo.data.rows import Rows
from dhpo.testing import check_trainer
from dhpo.trainers import RowSamples
from dhpo.trainers.row_samples import nested_order

RNG = np.random.default_rng(0)
X = RNG.standard_normal((90, 2))
Y = np.array(["rare"] * 3 + ["often"] * 60 + ["some"] * 27)


def trained_on(trainer, after, labels=Y):
    model = KNeighborsClassifier(1) if labels is Y else LinearRegression()
    seen = {}
    fit = model.fit
    model.fit = lambda X, y: (seen.update(X=X, y=y), fit(X, y))[1]
    trainer.advance(model, Rows(X, labels), {}, 0, after)
    return seen


def test_it_keeps_the_contract():
    check_trainer(RowSamples(9, 0), KNeighborsClassifier(1), X, Y)


def test_each_class_gives_its_share_and_fewer_rows_are_among_more():
    before: set[tuple[float, ...]] = set()
    for part in (1, 3, 9):
        seen = trained_on(RowSamples(9, entropy=5), part)
        assert len(seen["y"]) == 10 * part
        names, counts = np.unique(seen["y"], return_counts=True)
        share = dict(zip(names.tolist(), counts.tolist(), strict=True))
        assert abs(share["often"] - 60 * part / 9) <= 1
        assert abs(share["some"] - 27 * part / 9) <= 1
        assert share["rare"] >= 1
        now = {tuple(row) for row in seen["X"]}
        assert before < now
        before = now
    np.testing.assert_array_equal(seen["X"], X)  # all of them, in their order


def test_a_class_is_never_left_out():
    assert set(trained_on(RowSamples(90, 0), 1)["y"]) == {"rare", "often", "some"}


def test_targets_that_are_no_labels_are_drawn_plainly():
    assert len(trained_on(RowSamples(9, 0), 3, labels=RNG.standard_normal(90))["y"]) == 30


@pytest.mark.parametrize("entropy", [0, 1])
def test_the_seed_alone_says_which(entropy):
    drawn = [trained_on(RowSamples(9, entropy), 2)["X"].tolist() for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert drawn[0] != trained_on(RowSamples(9, entropy + 1), 2)["X"].tolist()


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(0, 2**32))
def test_every_beginning_of_the_order_has_its_share_of_each_class(labels, entropy):
    order, n_classes = nested_order(len(labels), entropy, np.array(labels))
    assert sorted(order.tolist()) == list(range(len(labels)))
    assert n_classes == len(set(labels))
    drawn = np.array(labels)[order]
    assert set(drawn[:n_classes].tolist()) == set(labels)
    for label in set(labels):
        places = np.flatnonzero(drawn == label)
        due = np.arange(len(places)) / len(places) * len(labels)
        assert (np.abs(places - due) <= n_classes).all()
