"""Every ready-made space fits its estimator, and is the user's own."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path

import lightgbm
import numpy as np
import pytest
import scipy.stats
import xgboost
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.linear_model import Perceptron, SGDClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils import all_estimators

import dhpo.spaces
from dhpo import PartialFitPipeline, Space
from dhpo.journal import describe
from dhpo.samplers import OptunaSampler, RandomSampler, SobolSampler
from dhpo.spaces.catalogue import SOURCES, SPACES

ESTIMATORS = {
    **dict(all_estimators()),
    "LGBMClassifier": lightgbm.LGBMClassifier,
    "XGBClassifier": xgboost.XGBClassifier,
}
# What is trained further, small; and silence.
QUICK = {"n_estimators": 3, "max_iter": 5, "n_jobs": 1, "verbosity": 0, "verbose": -1}
X, Y = load_iris(return_X_y=True)
X = X - X.min(axis=0)


@pytest.mark.parametrize("name", dhpo.spaces.names())
def test_points_of_every_space_can_be_fitted(name):
    estimator = ESTIMATORS[name]()
    space = Space(dhpo.spaces.of(name))
    space.validate_for(estimator)
    assert not {"n_iter", "max_iter", "warm_start", "random_state", "n_jobs"} & set(space.names)
    if name == "LGBMClassifier":
        quick = {name: QUICK[name] for name in ("n_estimators", "n_jobs", "verbose")}
    else:
        known = estimator.get_params()
        quick = {name: value for name, value in QUICK.items() if name in known and name != "verbose"}
    for number in range(4):
        model = ESTIMATORS[name](**{**quick, **RandomSampler(space, 0).ask(number)})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of so few iterations
            assert model.fit(X, Y).predict(X).shape == Y.shape


def test_those_that_learn_from_blocks_are_most_of_those_there_are():
    with_blocks = [name for name in dhpo.spaces.names() if hasattr(ESTIMATORS[name], "partial_fit")]
    assert {"SGDClassifier", "SGDRegressor", "MLPClassifier", "MLPRegressor", "MultinomialNB"} <= set(with_blocks)
    assert len(dhpo.spaces.names()) >= 24


def test_a_space_is_the_users_own():
    space = dhpo.spaces.of("SGDClassifier")
    space["loss"].append("huber")
    del space["alpha"]
    assert "huber" not in dhpo.spaces.of("SGDClassifier")["loss"]
    assert dhpo.spaces.of(SGDClassifier()).keys() == dhpo.spaces.of(SGDClassifier).keys() == space.keys() | {"alpha"}


def test_a_space_shows_itself_as_the_code_that_makes_it():
    made = {name: getattr(scipy.stats, name) for name in ("loguniform", "randint", "uniform")}
    made["lograndint"] = dhpo.spaces.lograndint
    for name in dhpo.spaces.names():
        space = dhpo.spaces.of(name)
        again = eval(repr(space), made)  # of this very test
        assert describe(again) == describe(dict(space)), name


@pytest.mark.parametrize(
    ("estimator", "prefix"),
    [
        (make_pipeline(StandardScaler(), Perceptron()), "perceptron__"),
        (PartialFitPipeline([("scale", StandardScaler()), ("model", Perceptron())]), "model__"),
        (OneVsRestClassifier(Perceptron()), "estimator__"),
        (make_pipeline(make_column_transformer((StandardScaler(), [0])), OneVsRestClassifier(Perceptron())), None),
    ],
)
def test_the_space_of_a_pipeline_is_that_of_its_parts(estimator, prefix):
    space = dhpo.spaces.of(estimator)
    prefix = "onevsrestclassifier__estimator__" if prefix is None else prefix
    assert list(space) == [prefix + name for name in dhpo.spaces.of("Perceptron")]
    Space(space).validate_for(estimator)


@pytest.mark.parametrize("estimator", ["SGDClasifier", "StandardScaler"])
def test_what_there_is_no_space_for_is_told(estimator):
    with pytest.raises(ValueError, match=f"there is no space for '{estimator}': dhpo.spaces.names"):
        dhpo.spaces.of(estimator)
    with pytest.raises(ValueError, match="there is no space for 'StandardScaler'"):
        dhpo.spaces.of(make_pipeline(StandardScaler()).steps[0][1])
    with pytest.raises(ValueError, match="there is no space for 'Pipeline'"):
        dhpo.spaces.of(make_pipeline(StandardScaler()))


def test_the_sources_of_all_spaces_are_in_the_docs():
    page = (Path(__file__).parents[3] / "docs/how-to/choose_parameters.md").read_text()
    for name in dhpo.spaces.names():
        (line,) = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
        assert line.endswith(f"| {', '.join(SPACES[name][1])} |")
        assert all(parameter in line for parameter in SPACES[name][0])
    for key in SOURCES:
        assert f"- {key}: " in page
    with pytest.raises(ValueError, match="Did you mean 'SVC'"):
        dhpo.spaces.source("SCV")


# -- integers on a logarithmic scale


@pytest.mark.parametrize(("low", "high"), [(1, 2), (1, 10), (3, 2048), (7, 10**9)])
def test_integers_are_as_many_from_1_to_9_as_from_10_to_99(low, high):
    law = dhpo.spaces.lograndint(low, high)
    values = law.rvs(size=4_000, random_state=np.random.RandomState(0))
    assert values.dtype.kind == "i"
    assert low <= values.min() <= values.max() < high
    for share in (0.25, 0.5, 0.75):
        middle = low * (high / low) ** share
        assert np.mean(values < middle) == pytest.approx(law.cdf(np.ceil(middle) - 1), abs=0.03)
    quantiles = np.linspace(0.001, 0.999, 500)
    found = law.ppf(quantiles)
    assert (law.cdf(found) >= quantiles).all()
    assert ((law.cdf(found - 1) < quantiles) | (found == low)).all()
    if high < 10_000:
        assert law.pmf(np.arange(low, high)).sum() == pytest.approx(1)


@pytest.mark.parametrize(("low", "high"), [(0, 9), (5, 5), (1.5, 9), (1, "9")])
def test_what_are_no_ends_of_integers_is_refused(low, high):
    with pytest.raises(ValueError, match=r"lograndint\(.* is not allowed: give integers with 1 <= low < high"):
        dhpo.spaces.lograndint(low, high)


def test_they_are_drawn_by_every_sampler_and_known_as_integers():
    law = dhpo.spaces.lograndint(1, 1_000)
    space = Space({"leaves": pickle.loads(pickle.dumps(law))})
    assert space.scales() == {"leaves": "log"}
    known = space.ranges()["leaves"]
    assert (known.low, known.high, known.integers) == (1, 999, True)
    for sampler in (RandomSampler(space, 0), SobolSampler(space, 0), OptunaSampler(space, 0)):
        drawn = [sampler.ask(number)["leaves"] for number in range(64)]
        assert all(1 <= value < 1_000 for value in drawn)
        assert 0.15 < np.mean([value < 10 for value in drawn]) < 0.5
    assert describe(law) == describe(dhpo.spaces.lograndint(1, 1_000)) != describe(dhpo.spaces.lograndint(1, 1_001))


def test_a_space_with_its_kernel_is_searched():
    space = dhpo.spaces.of(SVC())
    assert set(RandomSampler(Space(space), 0).ask(0)) == set(space)
