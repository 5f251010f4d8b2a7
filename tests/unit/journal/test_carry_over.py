"""What is taken over from an earlier search, decided without data and without a cluster."""

from __future__ import annotations

import pytest
from scipy.stats import loguniform

from dhpo.history.events import DataPrepared, Reported, TrialStarted
from dhpo.history.history import History
from dhpo.journal import EarlierSearch
from dhpo.journal.carry_over import Earlier, NewSearch
from dhpo.samplers import RandomSampler
from dhpo.space.parameter_space import Space
from dhpo.trial import Report, Trial

SPACE = Space({"alpha": loguniform(1e-4, 1)})
IDENTITY = {"estimator": "SGDClassifier()", "scoring": "None", "max_iter": "81", "parameters": "..."}


def an_earlier(scores, identity=IDENTITY, entropy=0, digest="d", resource=lambda number: 3):
    history = History()
    history.append(DataPrepared(1, 1, 1, 1, 1, 0.0, digest))
    for number, (alpha, score) in enumerate(scores):
        history.append(TrialStarted(Trial(number, {"alpha": alpha}), 0.0))
        history.append(Reported(Report(number, resource(number), score), 1.0))
    return EarlierSearch("runs/a", history, identity, entropy)


def a_search(n_trials=5, entropy=0, learns=False, space=SPACE, takes_points=True, points=None, **identity):
    draw = None if learns else RandomSampler(space, entropy).ask
    return NewSearch({**IDENTITY, **identity}, entropy, space, n_trials, draw, takes_points, points or {})


def decided(search, *earlier, digest="d"):
    return Earlier(search, earlier).decided(digest, 0.0)


SCORES = [(0.1, 0.5), (0.2, 0.9), (0.3, 0.7), (0.4, float("nan"))]


@pytest.mark.parametrize(
    ("search", "digest", "models", "scores", "why"),
    [
        (a_search(), "d", True, True, ""),
        (a_search(max_iter="27", search="HyperbandSearchCV", parameters="others"), "d", True, True, ""),
        (a_search(scoring="'roc_auc'"), "d", True, False, "another scoring"),
        (a_search(refit="False"), "d", True, True, ""),
        (a_search(refit="'f1'"), "d", True, False, "another refit"),
        (a_search(entropy=1), "d", False, False, "another random_state"),
        (a_search(return_train_score="False"), "d", True, True, ""),
        (a_search(return_train_score="True"), "d", False, False, "another return_train_score"),
        (a_search(estimator="MLPClassifier()", cv="3"), "d", False, False, "another cv and estimator"),
        (a_search(), "e", False, False, "other data"),
    ],
)
def test_what_differs(search, digest, models, scores, why):
    (decision,) = decided(search, an_earlier(SCORES), digest=digest)
    assert (decision.models, decision.scores, decision.why) == (models, scores, why)
    same = Earlier(search, [an_earlier(SCORES)]).same(digest)
    assert [(m, s) for _, m, s in same] == ([(models, scores)] if models or scores else [])


def test_what_some_searches_do_not_let_choose_is_no_difference():
    earlier = an_earlier(SCORES, {**IDENTITY, "return_train_score": "False"})
    assert decided(a_search(search="HyperbandSearchCV"), earlier)[0].scores


def test_the_best_come_first_and_failures_never():
    (decision,) = decided(a_search(entropy=1), an_earlier(SCORES))
    assert decision.points == {0: {"alpha": 0.2}, 1: {"alpha": 0.3}, 2: {"alpha": 0.1}}


def test_with_the_same_models_trials_keep_their_numbers():
    (decision,) = decided(a_search(n_trials=2), an_earlier(SCORES))
    # Trial 2 is beyond the end, and takes the place that is free.
    assert decision.points == {1: {"alpha": 0.2}, 0: {"alpha": 0.3}}


def test_what_is_drawn_anyway_is_left_to_be_drawn():
    drawn = RandomSampler(SPACE, 7).ask(3)["alpha"]
    (decision,) = decided(a_search(entropy=7), an_earlier([(0.1, 0.5), (drawn, 0.9)]))
    assert decision.points == {0: {"alpha": 0.1}}


def test_at_most_ten_and_none_twice_and_none_in_place_of_the_users():
    many = an_earlier([(0.001 * (number + 1), number) for number in range(40)])
    first, second = decided(a_search(entropy=1, n_trials=30, points={0: {"alpha": 0.04}}), many, many)
    assert list(first.points) == list(range(1, 11))
    assert next(iter(first.points.values())) == {"alpha": 0.039}
    assert list(second.points) == list(range(11, 21))
    assert not {p["alpha"] for p in first.points.values()} & {p["alpha"] for p in second.points.values()}


def test_a_grid_takes_no_points():
    (decision,) = decided(a_search(entropy=1, takes_points=False), an_earlier(SCORES))
    assert decision.points == {}


def test_points_outside_of_the_space_are_left_out():
    (decision,) = decided(a_search(entropy=1, space=Space({"alpha": loguniform(0.25, 1)})), an_earlier(SCORES))
    assert decision.points == {0: {"alpha": 0.3}}


def test_what_a_sampler_learns_are_ranks_at_one_resource():
    # 10 trials at 3 calls, 6 at 9 and 2 at 27: half as many as at most are enough.
    resources = [3] * 10 + [9] * 6 + [27] * 2
    scored = [(0.01 * (number + 1), -number) for number in range(18)]
    (decision,) = decided(a_search(learns=True), an_earlier(scored, resource=lambda number: resources[number]))
    assert [params["alpha"] for params, _ in decision.learned] == pytest.approx([0.01 * n for n in range(11, 17)])
    assert [score for _, score in decision.learned] == [5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6, 0]


def test_a_search_without_a_journal_gives_parameters():
    (decision,) = decided(a_search(), an_earlier(SCORES, identity={}, entropy=None))
    assert not decision.models
    assert "it has no journal" in decision.why
    assert len(decision.points) == 3
