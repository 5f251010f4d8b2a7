"""PartialFitPipeline: what its partial_fit does is what the steps do by hand; all else is scikit-learn's Pipeline."""

from __future__ import annotations

import inspect
import pickle
from io import BytesIO

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin, clone, is_classifier, is_clusterer, is_regressor
from sklearn.cluster import Birch, KMeans, MiniBatchKMeans
from sklearn.compose import ColumnTransformer
from sklearn.datasets import make_classification
from sklearn.decomposition import (
    PCA,
    IncrementalPCA,
    LatentDirichletAllocation,
    MiniBatchDictionaryLearning,
    MiniBatchNMF,
    MiniBatchSparsePCA,
    TruncatedSVD,
)
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.feature_extraction import DictVectorizer, FeatureHasher
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.feature_selection import SelectFromModel, SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.impute import KNNImputer, MissingIndicator, SimpleImputer
from sklearn.kernel_approximation import (
    AdditiveChi2Sampler,
    Nystroem,
    PolynomialCountSketch,
    RBFSampler,
    SkewedChi2Sampler,
)
from sklearn.linear_model import LogisticRegression, SGDClassifier, SGDRegressor
from sklearn.model_selection import cross_validate, learning_curve
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    QuantileTransformer,
    SplineTransformer,
    StandardScaler,
)
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection
from sklearn.utils.discovery import all_estimators
from sklearn.utils.estimator_checks import check_estimator

from dhpo.compose import PartialFitColumnTransformer, PartialFitPipeline, make_partial_fit_pipeline
from dhpo.compose.rules import DETERMINED, Learning, ParameterPlace, learning_of
from dhpo.driver.classes_argument import has_optional_classes, takes_classes

X, y = make_classification(n_samples=300, n_features=6, n_informative=4, n_classes=3, random_state=0)
X = X * [1, 10, 100, 1, 1, 1] + [0, 5, 0, 0, -3, 0]
BLOCKS = [slice(start, start + 60) for start in range(0, 300, 60)]
CLASSES = [0, 1, 2]


def sgd(**params):
    return SGDClassifier(random_state=0, **params)


def scaled(last=None, **params):
    return PartialFitPipeline([("scale", StandardScaler()), ("clf", sgd() if last is None else last)], **params)


def trained(pipeline, X=X, y=y, **kwargs):
    for rows in BLOCKS:
        pipeline.partial_fit(X[rows], y[rows], **kwargs)
    return pipeline


def assert_same(a, b):
    if sparse.issparse(a) or sparse.issparse(b):
        assert sparse.issparse(a)
        assert sparse.issparse(b)
        assert (a != b).nnz == 0
    else:
        np.testing.assert_array_equal(a, b)


# ---- what the steps do by hand

NUMBERS, COUNTS = X, np.abs(X)
TEXTS = np.array([" ".join(f"word{abs(int(v)) % 30}" for v in row) for row in X], dtype=object)
BAGS = np.array([{f"word{abs(int(v)) % 30}": 1.0 for v in row} for row in X], dtype=object)
LETTERS = np.array([["abc"[abs(int(row[0])) % 3], "xy"[int(row[1] > 5)]] for row in X], dtype=object)
CATEGORIES = [["a", "b", "c"], ["x", "y"]]


@pytest.mark.parametrize(
    ("transformer", "X"),
    [
        (StandardScaler(), NUMBERS),
        (StandardScaler(with_mean=False), sparse.csr_array(NUMBERS)),
        (MinMaxScaler(), NUMBERS),
        (MaxAbsScaler(), NUMBERS),
        (IncrementalPCA(n_components=3), NUMBERS),
        (MiniBatchDictionaryLearning(n_components=4, random_state=0), NUMBERS),
        (MiniBatchNMF(n_components=3, random_state=0), COUNTS),
        (LatentDirichletAllocation(n_components=3, random_state=0), COUNTS),
        (MiniBatchKMeans(n_clusters=4, random_state=0), NUMBERS),
        (HashingVectorizer(n_features=64), TEXTS),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_transformer_with_partial_fit_learns_from_each_block_and_then_transforms_it(transformer, X):
    pipeline = PartialFitPipeline([("it", clone(transformer)), ("clf", sgd())])
    step, clf = clone(transformer), sgd()
    for rows in BLOCKS:
        pipeline.partial_fit(X[rows], y[rows], classes=CLASSES)
        step.partial_fit(X[rows])
        clf.partial_fit(step.transform(X[rows]), y[rows], classes=CLASSES)
    assert_same(pipeline["clf"].coef_, clf.coef_)
    assert_same(pipeline[:-1].transform(X), step.transform(X))
    assert_same(pipeline.predict(X), clf.predict(step.transform(X)))


@pytest.mark.parametrize(
    ("transformer", "X"),
    [
        (FeatureHasher(n_features=64), BAGS),
        (OneHotEncoder(categories=CATEGORIES), LETTERS),
        (OneHotEncoder(categories=CATEGORIES, sparse_output=False, drop="first"), LETTERS),
        (OrdinalEncoder(categories=CATEGORIES), LETTERS),
        (RBFSampler(n_components=20, gamma=0.01, random_state=0), NUMBERS),
        (Normalizer(), NUMBERS),
        (FunctionTransformer(np.sign), NUMBERS),
        (PolynomialFeatures(2), NUMBERS),
        (FrozenEstimator(PCA(2, random_state=0).fit(NUMBERS)), NUMBERS),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_transformer_that_is_the_same_for_all_blocks_is_fitted_on_the_first(transformer, X):
    pipeline = PartialFitPipeline([("it", clone(transformer)), ("clf", sgd())])
    step, clf = clone(transformer).fit(X[BLOCKS[0]], None), sgd()
    for rows in BLOCKS:
        pipeline.partial_fit(X[rows], y[rows], classes=CLASSES)
        clf.partial_fit(step.transform(X[rows]), y[rows], classes=CLASSES)
    assert_same(pipeline["clf"].coef_, clf.coef_)
    assert_same(pipeline.predict(X), clf.predict(step.transform(X)))


def test_a_random_projection_without_a_seed_is_drawn_once_and_survives_a_pickle_a_fit_and_a_slice():
    pipeline = make_partial_fit_pipeline(RBFSampler(gamma=0.1), MinMaxScaler(), sgd())
    pipeline.fit(X, y)
    drawn = pipeline[0].random_weights_
    trained(pipeline)
    assert pipeline[0].random_weights_ is drawn
    trained(pickle.loads(pickle.dumps(pipeline))[:-1])
    copied = trained(pickle.loads(pickle.dumps(pipeline)))
    np.testing.assert_array_equal(copied[0].random_weights_, drawn)
    trained(PartialFitPipeline(pipeline.steps))
    assert pipeline[0].random_weights_ is drawn


def test_three_steps_in_a_row_and_those_that_pass():
    pipeline = PartialFitPipeline(
        [
            ("nothing", "passthrough"),
            ("scale", StandardScaler()),
            ("none", None),
            ("reduce", IncrementalPCA(2)),
            ("clf", sgd()),
        ]
    )
    scale, reduce, clf = StandardScaler(), IncrementalPCA(2), sgd()
    for rows in BLOCKS:
        pipeline.partial_fit(X[rows], y[rows], classes=CLASSES)
        reduce.partial_fit(scale.partial_fit(X[rows]).transform(X[rows]))
        clf.partial_fit(reduce.transform(scale.transform(X[rows])), y[rows], classes=CLASSES)
    assert_same(pipeline["clf"].coef_, clf.coef_)
    assert_same(pipeline.predict(X), clf.predict(reduce.transform(scale.transform(X))))
    assert_same(trained(PartialFitPipeline([("it", "passthrough")])).transform(X), X)


@pytest.mark.parametrize("last", ["passthrough", Normalizer(), MinMaxScaler()])
def test_a_pipeline_of_transformers(last):
    pipeline = PartialFitPipeline([("scale", StandardScaler()), ("last", last)])
    twin, scale, step = clone(pipeline), StandardScaler(), clone(last) if last != "passthrough" else None
    for rows in BLOCKS:
        Xt = scale.partial_fit(X[rows]).transform(X[rows])
        if isinstance(step, MinMaxScaler):
            step.partial_fit(Xt)
        expected = Xt if step is None else step.transform(Xt)
        assert_same(twin.partial_fit_transform(X[rows]), expected)
        assert pipeline.partial_fit(X[rows]) is pipeline
        assert_same(pipeline.transform(X[rows]), expected)
    assert not hasattr(scaled(), "partial_fit_transform")
    assert not hasattr(scaled(), "transform")


def test_pipelines_in_pipelines_transform_each_block_once():
    calls = []

    def count(X):
        calls.append(len(X))
        return X

    inner = PartialFitPipeline([("count", FunctionTransformer(count)), ("scale", StandardScaler())])
    pipeline = trained(PartialFitPipeline([("inner", inner), ("clf", sgd())]), classes=CLASSES)
    assert calls == [60] * 5
    assert_same(pipeline["clf"].coef_, trained(scaled(), classes=CLASSES)["clf"].coef_)


def test_blocks_of_one_row_and_frames():
    pipeline = scaled(GaussianNB())
    frame = pd.DataFrame(X, columns=list("abcdef"))
    for row in range(20):
        pipeline.partial_fit(frame.iloc[row : row + 1], y[row : row + 1], classes=CLASSES)
    scale = StandardScaler().fit(X[:20])
    np.testing.assert_allclose(pipeline["scale"].mean_, scale.mean_)
    assert list(pipeline.feature_names_in_) == list("abcdef")
    assert pipeline.n_features_in_ == 6
    assert list(pipeline.classes_) == CLASSES
    with pytest.raises(ValueError, match="0 sample"):
        pipeline.partial_fit(frame.iloc[:0], y[:0])
    with pytest.raises(ValueError, match="n_components=3"):
        make_partial_fit_pipeline(IncrementalPCA(3), sgd()).partial_fit(X[:2], y[:2], classes=CLASSES)


def test_a_step_that_needs_no_fit_takes_note_of_its_columns():
    frame = pd.DataFrame(X, columns=list("abcdef"))
    pipeline = make_partial_fit_pipeline(FunctionTransformer(feature_names_out="one-to-one"), StandardScaler())
    assert list(pipeline.partial_fit(frame).get_feature_names_out()) == list("abcdef")


def test_output_as_pandas():
    pipeline = make_partial_fit_pipeline(StandardScaler(), PolynomialFeatures(1), MaxAbsScaler())
    pipeline.set_output(transform="pandas")
    frame = pd.DataFrame(X, columns=list("abcdef"))
    Xt = [pipeline.partial_fit_transform(frame[rows]) for rows in BLOCKS][-1]
    assert isinstance(Xt, pd.DataFrame)
    assert list(Xt.columns) == ["1", *"abcdef"] == list(pipeline.get_feature_names_out())
    assert list(Xt.index) == list(range(240, 300))


# ---- what cannot learn block by block

REFUSED = [
    (PCA(2), TypeError, ["PCA(n_components=2)", "IncrementalPCA", "FrozenEstimator"]),
    (TruncatedSVD(), TypeError, ["TruncatedSVD", "SparseRandomProjection"]),
    (TfidfVectorizer(), ValueError, ["TfidfVectorizer()", "HashingVectorizer", "vocabulary", "use_idf=False"]),
    (TfidfVectorizer(vocabulary=["a"]), ValueError, ["use_idf=False"]),
    (TfidfTransformer(), ValueError, ["use_idf=False"]),
    (CountVectorizer(), ValueError, ["CountVectorizer()", "a vocabulary"]),
    (DictVectorizer(), TypeError, ["DictVectorizer()", "FeatureHasher"]),
    (OneHotEncoder(), ValueError, ["OneHotEncoder()", "categories=[...]"]),
    (OneHotEncoder(categories=CATEGORIES, min_frequency=2), ValueError, ["min_frequency"]),
    (OrdinalEncoder(categories=CATEGORIES, max_categories=2), ValueError, ["max_categories"]),
    (SimpleImputer(), ValueError, ["SimpleImputer()", "strategy='constant'", "keep_empty_features=True"]),
    (SimpleImputer(strategy="constant"), ValueError, ["keep_empty_features=True"]),
    (
        SimpleImputer(strategy="constant", keep_empty_features=True, add_indicator=True),
        ValueError,
        ["add_indicator=False", "MissingIndicator(features='all')"],
    ),
    (MissingIndicator(), ValueError, ["features='all'"]),
    (KNNImputer(), TypeError, ["SimpleImputer"]),
    (SelectKBest(), TypeError, ["SelectKBest()", "FrozenEstimator"]),
    (SelectFromModel(sgd()), ValueError, ["SelectFromModel", "FrozenEstimator"]),
    (FrozenEstimator(PCA()), ValueError, ["fitted"]),
    (QuantileTransformer(), TypeError, ["StandardScaler or MinMaxScaler"]),
    (KBinsDiscretizer(), TypeError, ["KBinsDiscretizer()", "FrozenEstimator"]),
    (Nystroem(), TypeError, ["Nystroem()", "RBFSampler"]),
    (RBFSampler(gamma="scale"), ValueError, ["gamma"]),
    (SparseRandomProjection(), ValueError, ["n_components"]),
    (SplineTransformer(), ValueError, ["knots"]),
    (MiniBatchSparsePCA(), TypeError, ["MiniBatchDictionaryLearning"]),
    (Birch(), TypeError, ["Birch()", "last step", "MiniBatchKMeans"]),
    (KMeans(), TypeError, ["MiniBatchKMeans"]),
    (Pipeline([("a", StandardScaler())]), TypeError, ["PartialFitPipeline"]),
    (FeatureUnion([("a", StandardScaler())]), TypeError, ["PartialFitColumnTransformer"]),
    (ColumnTransformer([("a", StandardScaler(), [0])]), TypeError, ["PartialFitColumnTransformer"]),
    (sgd(), TypeError, ["SGDClassifier", "no transform"]),
    (StandardScaler, TypeError, ["class StandardScaler", "instance"]),
    ("pass-through", TypeError, ["'pass-through'", "no estimator"]),
]


@pytest.mark.parametrize(("step", "error", "words"), REFUSED, ids=lambda value: str(value)[:40])
def test_a_step_that_cannot_is_refused_by_name_with_what_to_use_instead(step, error, words):
    pipeline = PartialFitPipeline([("scale", StandardScaler()), ("wrong", step), ("clf", sgd())])
    for call in (pipeline.check_steps, lambda: pipeline.partial_fit(X, y, classes=CLASSES)):
        with pytest.raises(error, match=r"^steps: 'wrong' is ") as caught:
            call()
        for word in words:
            assert word in str(caught.value)
    assert not hasattr(pipeline["scale"], "mean_")


def test_a_step_is_named_by_its_place_in_nested_pipelines():
    columns = PartialFitColumnTransformer([("letters", PartialFitPipeline([("encode", OneHotEncoder())]), [0])])
    pipeline = PartialFitPipeline([("columns", columns), ("clf", sgd())])
    with pytest.raises(ValueError, match=r"^steps: 'columns__letters__encode' is OneHotEncoder"):
        pipeline.check_steps()
    nested = PartialFitPipeline([("inner", PartialFitPipeline([("cluster", Birch())])), ("clf", sgd())])
    with pytest.raises(TypeError, match=r"^steps: 'inner__cluster' is Birch"):
        nested.check_steps()
    nested["inner"].check_steps()


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (LogisticRegression(), "SGDClassifier"),
        (RandomForestClassifier(), "RandomForestClassifier"),
        (GaussianProcessRegressor(), "GaussianProcessRegressor"),
        (PCA(), "IncrementalPCA"),
        (PartialFitPipeline([("reduce", PCA())]), "'clf__reduce' is PCA"),
    ],
)
def test_there_is_no_partial_fit_if_the_last_step_cannot_learn(last, words):
    pipeline = scaled(last)
    assert not hasattr(pipeline, "partial_fit")
    with pytest.raises(AttributeError, match=words):
        pipeline.partial_fit(X, y)
    with pytest.raises(TypeError, match=words):
        pipeline.check_steps()


@pytest.mark.parametrize(
    ("pipeline", "words"),
    [
        (PartialFitPipeline([("a__b", sgd())]), "'a__b' is not allowed"),
        (PartialFitPipeline([("a", Normalizer()), ("a", sgd())]), "'a' is not allowed"),
        (PartialFitPipeline([("memory", sgd())]), "'memory' is not allowed"),
        (PartialFitPipeline([Normalizer(), sgd()]), r"^steps: \[Normalizer.* is not allowed"),
        (PartialFitPipeline([]), r"^steps: \[\] is not allowed"),
        (scaled(memory="somewhere"), "memory='somewhere' is not allowed"),
        (scaled(transform_input=["X_val"]), r"transform_input=\['X_val'\] is not allowed"),
    ],
)
def test_other_parameters_are_checked_too(pipeline, words):
    with pytest.raises(ValueError, match=words):
        pipeline.check_steps()
    with pytest.raises((ValueError, AttributeError)):
        pipeline.partial_fit(X, y, classes=CLASSES)


class Shift(TransformerMixin, BaseEstimator):
    """A user's transformer."""

    def __init__(self, stateless=True):
        self.stateless = stateless

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X + 1

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = not self.stateless
        return tags


def test_transformers_of_users_take_part_by_their_tag_or_by_partial_fit():
    pipeline = trained(PartialFitPipeline([("shift", Shift()), ("clf", sgd())]), classes=CLASSES)
    assert_same(pipeline["clf"].coef_, trained(sgd(), X + 1, classes=CLASSES).coef_)
    pipeline = PartialFitPipeline([("shift", Shift(stateless=False)), ("clf", sgd())])
    with pytest.raises(TypeError, match=r"'shift' is Shift.*of your own needs.*partial_fit.*requires_fit=False"):
        pipeline.check_steps()


def test_steps_are_checked_anew_when_they_change():
    pipeline = trained(scaled(), classes=CLASSES)
    pipeline.set_params(scale=PCA())
    with pytest.raises(TypeError, match="PCA"):
        pipeline.partial_fit(X, y)
    pipeline.steps[0] = ("scale", TfidfVectorizer())
    with pytest.raises(ValueError, match="TfidfVectorizer"):
        pipeline.partial_fit(X, y)
    pipeline.set_params(scale="passthrough").partial_fit(X, y)
    pipeline.steps[1] = ("last", pipeline["clf"])
    with pytest.raises(TypeError, match="sample_weights"):
        pipeline.partial_fit(X, y, last__sample_weights=1)
    pipeline.set_params(scale=SimpleImputer(strategy="constant", keep_empty_features=True)).partial_fit(X, y)
    pipeline.set_params(scale__strategy="mean")
    with pytest.raises(ValueError, match="SimpleImputer"):
        pipeline.partial_fit(X, y)


# What is fitted on one block alone, with two very different blocks and one to transform.
OTHER = -3 * X[::-1] + 7
HALF_EMPTY = np.where(np.arange(6) % 2, np.nan, X)
DETERMINED_STEPS = [
    (CountVectorizer(vocabulary=["word1", "word2"], min_df=2), TEXTS[:60], TEXTS[60:90], TEXTS),
    (TfidfVectorizer(vocabulary=["word1", "word2"], use_idf=False), TEXTS[:60], TEXTS[60:90], TEXTS),
    (TfidfTransformer(use_idf=False), COUNTS[:50], np.abs(OTHER), COUNTS),
    (FrozenEstimator(StandardScaler().fit(X)), X[:10], OTHER, X),
    (GaussianRandomProjection(2, random_state=0), X[:10], OTHER, X),
    (SparseRandomProjection(2, random_state=0), X[:10], OTHER, X),
    (MissingIndicator(features="all"), X, HALF_EMPTY, HALF_EMPTY),
    (SimpleImputer(strategy="constant", fill_value=-1.0, keep_empty_features=True), X, HALF_EMPTY, HALF_EMPTY),
    (OneHotEncoder(categories=CATEGORIES), LETTERS[:1], LETTERS[1:], LETTERS),
    (OrdinalEncoder(categories=CATEGORIES), LETTERS[:1], LETTERS[1:], LETTERS),
    (PolynomialCountSketch(random_state=0), X[:10], OTHER, X),
    (PolynomialFeatures(), X[:10], OTHER, X),
    (RBFSampler(random_state=0), X[:10], OTHER, X),
    (SkewedChi2Sampler(random_state=0), COUNTS[:10], np.abs(OTHER), COUNTS),
    (AdditiveChi2Sampler(), COUNTS[:10], np.abs(OTHER), COUNTS),
    (SplineTransformer(knots=np.outer(np.linspace(-500, 500, 5), np.ones(6))), X[:10], OTHER, X),
    (SelectFromModel(FrozenEstimator(sgd().fit(X, y))), X[:10], OTHER, X),
]


@pytest.mark.parametrize(
    ("transformer", "first", "other", "rows"), DETERMINED_STEPS, ids=lambda value: type(value).__name__
)
def test_determined_transformers_are_the_same_whatever_block_they_are_fitted_on(transformer, first, other, rows):
    assert learning_of(transformer, ParameterPlace("steps", "it"), transforms=True) is Learning.ONCE
    outputs = [clone(transformer).fit(block, None).transform(rows) for block in (first, other)]
    assert_same(*outputs)


def test_every_determined_transformer_is_tried():
    assert {type(transformer) for transformer, *_ in DETERMINED_STEPS} - {AdditiveChi2Sampler} == set(DETERMINED)


def test_what_each_transformer_of_scikit_learn_is_by_default():
    found = {Learning.BY_BLOCK: set(), Learning.ONCE: set()}
    for name, cls in all_estimators(type_filter="transformer"):
        try:
            learning = learning_of(cls(), ParameterPlace("steps", name), transforms=True)
        except (TypeError, ValueError):
            continue
        found[learning].add(name)
    assert found[Learning.BY_BLOCK] == {
        *("BernoulliRBM", "HashingVectorizer", "IncrementalPCA", "LatentDirichletAllocation", "MaxAbsScaler"),
        *("MinMaxScaler", "MiniBatchDictionaryLearning", "MiniBatchKMeans", "MiniBatchNMF", "StandardScaler"),
    }
    assert found[Learning.ONCE] == {
        *("AdditiveChi2Sampler", "Binarizer", "FeatureHasher", "FunctionTransformer", "Normalizer", "PatchExtractor"),
        *("PolynomialCountSketch", "PolynomialFeatures", "RBFSampler", "SkewedChi2Sampler"),
    }


# ---- classes, weights and other arguments


class WantsClasses(BaseEstimator):
    """Takes `classes` in every call."""

    def fit(self, X, y):
        return self.partial_fit(X, y, np.unique(y))

    def partial_fit(self, X, y, classes):
        self.classes_ = np.asarray(classes)
        return self


@pytest.mark.parametrize(
    ("last", "takes", "optional"),
    [
        (sgd(), True, True),
        (MLPClassifier(), True, True),
        (OneVsRestClassifier(sgd()), True, True),
        (WantsClasses(), True, False),
        (SGDRegressor(), False, False),
        (MiniBatchKMeans(), False, False),
        (StandardScaler(), False, False),
        (Normalizer(), False, False),
        ("passthrough", False, False),
        (FrozenEstimator(sgd().fit(X, y)), False, False),
        (scaled(), True, True),
        (scaled(SGDRegressor()), False, False),
        (scaled(WantsClasses()), True, False),
    ],
    ids=lambda value: str(value)[:30],
)
def test_the_signature_has_classes_as_the_last_step_has(last, takes, optional):
    pipeline = scaled(last)
    assert takes_classes(pipeline) == takes
    assert has_optional_classes(pipeline) == optional
    assert list(inspect.signature(pipeline.partial_fit).parameters)[:2] == ["X", "y"]
    assert pipeline.partial_fit.__doc__ == PartialFitPipeline.partial_fit.__doc__
    assert inspect.signature(PartialFitPipeline.partial_fit).parameters["classes"].default is None
    kwargs = {"classes": CLASSES} if takes else {}
    assert pickle.loads(pickle.dumps(pipeline.partial_fit))(X, y, **kwargs).steps[-1][0] == "clf"


def test_classes_are_for_the_last_step_and_none_is_nothing():
    pipeline = scaled(SGDRegressor(random_state=0))
    assert_same(trained(pipeline, classes=None).predict(X), trained(scaled(SGDRegressor(random_state=0))).predict(X))
    with pytest.raises(TypeError, match="classes"):
        pipeline.partial_fit(X, y, classes=CLASSES)
    with pytest.raises(TypeError, match="positional"):
        pipeline.partial_fit(X, y, CLASSES)
    with pytest.raises(ValueError, match="classes must be passed"):
        scaled().partial_fit(X, y)
    pipeline = scaled().partial_fit(X[:2], y[:2], CLASSES)
    assert list(pipeline.partial_fit(X, y).classes_) == CLASSES
    assert list(trained(scaled(WantsClasses()), classes=CLASSES).classes_) == CLASSES


WEIGHTS = np.linspace(0, 2, 300)


def test_weights_are_for_the_last_step_and_a_name_for_others():
    pipeline, scale, clf = scaled(), StandardScaler(), sgd()
    both, weighed = scaled(), StandardScaler()
    for rows in BLOCKS:
        w = WEIGHTS[rows]
        pipeline.partial_fit(X[rows], y[rows], classes=CLASSES, sample_weight=w)
        clf.partial_fit(scale.partial_fit(X[rows]).transform(X[rows]), y[rows], classes=CLASSES, sample_weight=w)
        both.partial_fit(X[rows], y[rows], clf__classes=CLASSES, scale__sample_weight=w, clf__sample_weight=w)
        weighed.partial_fit(X[rows], sample_weight=w)
    assert_same(pipeline["clf"].coef_, clf.coef_)
    assert_same(both["scale"].mean_, weighed.mean_)
    assert not np.array_equal(both["scale"].mean_, scale.mean_)
    assert not np.array_equal(clf.coef_, trained(scaled(), classes=CLASSES)["clf"].coef_)


@pytest.mark.parametrize("argument", ["weights", "nothing__weights", "scale__"])
def test_arguments_that_are_for_no_step_are_refused(argument):
    with pytest.raises(ValueError, match=rf"partial_fit: {argument} is not allowed.*steps are scale, clf"):
        scaled().partial_fit(X, y, classes=CLASSES, **{argument: 1})
    with pytest.raises(TypeError, match="sample_weight"):
        scaled(IncrementalPCA()).partial_fit(X, sample_weight=WEIGHTS)


def test_metadata_routing():
    def requests(asks, clf=True):
        return [
            ("scale", StandardScaler().set_partial_fit_request(sample_weight=asks)),
            ("clf", sgd().set_partial_fit_request(sample_weight=clf)),
        ]

    with sklearn.config_context(enable_metadata_routing=True):
        for asks in (True, False):
            pipeline, scale, clf = PartialFitPipeline(requests(asks)), StandardScaler(), sgd()
            nested = PartialFitPipeline([("inner", PartialFitPipeline(requests(asks)))])
            for rows in BLOCKS:
                w = WEIGHTS[rows]
                pipeline.partial_fit(X[rows], y[rows], classes=CLASSES, sample_weight=w)
                nested.partial_fit(X[rows], y[rows], classes=CLASSES, sample_weight=w)
                scale.partial_fit(X[rows], sample_weight=w if asks else None)
                clf.partial_fit(scale.transform(X[rows]), y[rows], classes=CLASSES, sample_weight=w)
            assert_same(pipeline["clf"].coef_, clf.coef_)
            assert_same(nested[0]["clf"].coef_, clf.coef_)
        inner = PartialFitPipeline(requests(True)[:1])
        pipeline = PartialFitPipeline([("inner", inner), requests(True)[1]])
        pipeline.partial_fit(X, y, classes=CLASSES, sample_weight=WEIGHTS)
        assert_same(inner[0].mean_, StandardScaler().partial_fit(X, sample_weight=WEIGHTS).mean_)
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            scaled().partial_fit(X, y, classes=CLASSES, sample_weight=WEIGHTS)
        trained(scaled(), classes=CLASSES)
        # Of the last step it does not call transform.
        with pytest.raises(TypeError, match=r"unexpected argument.*copy"):
            PartialFitPipeline([("last", StandardScaler().set_transform_request(copy=True))]).partial_fit(X, copy=True)
    assert not hasattr(PartialFitPipeline, "set_partial_fit_request")


# ---- the rest is scikit-learn's


def test_parameters_clones_and_pickles():
    pipeline = trained(scaled(), classes=CLASSES)
    assert pipeline.get_params()["scale__with_mean"] is True
    assert pipeline.get_params(deep=False).keys() == {"steps", "transform_input", "memory", "verbose"}
    assert pipeline.set_params(clf__alpha=0.5, scale__with_mean=False) is pipeline
    assert (pipeline["clf"].alpha, pipeline["scale"].with_mean) == (0.5, False)
    with pytest.raises(ValueError, match="Invalid parameter 'alfa'"):
        pipeline.set_params(clf__alfa=1)
    fresh = clone(pipeline)
    assert type(fresh) is PartialFitPipeline
    assert fresh["clf"].alpha == 0.5
    assert fresh["clf"] is not pipeline["clf"]
    with pytest.raises(NotFittedError):
        fresh.predict(X)
    file = BytesIO()
    joblib.dump(pipeline, file)
    file.seek(0)
    for copied in (pickle.loads(pickle.dumps(pipeline)), joblib.load(file)):
        assert_same(copied.predict(X), pipeline.predict(X))
        copied.partial_fit(X, y)
    assert_same(copied["clf"].coef_, pipeline.partial_fit(X, y)["clf"].coef_)


def test_it_is_a_pipeline_of_scikit_learn_with_its_last_steps_tags_and_methods():
    pipeline = trained(scaled(sgd(loss="log_loss")), classes=CLASSES)
    assert isinstance(pipeline, Pipeline)
    assert is_classifier(pipeline)
    assert is_regressor(scaled(SGDRegressor()))
    assert is_clusterer(scaled(MiniBatchKMeans()))
    assert (len(pipeline), pipeline.named_steps.clf, pipeline[0]) == (2, pipeline["clf"], pipeline["scale"])
    assert type(pipeline[:-1]) is PartialFitPipeline
    np.testing.assert_allclose(pipeline[:-1].inverse_transform(pipeline[:-1].transform(X)), X)
    Xt = pipeline["scale"].transform(X)
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        assert_same(getattr(pipeline, method)(X), getattr(pipeline["clf"], method)(Xt))
    assert pipeline.score(X, y) == pipeline["clf"].score(Xt, y) > 0.5
    assert not hasattr(scaled(sgd(loss="hinge")), "predict_proba")
    assert not hasattr(scaled(), "score_samples")
    assert "PartialFitPipeline" in pipeline._repr_html_()
    assert "StandardScaler" in pipeline._repr_html_()
    assert "PartialFitPipeline(steps=[('scale'" in repr(pipeline)
    assert [name for name, _ in make_partial_fit_pipeline(StandardScaler(), "passthrough", StandardScaler()).steps] == [
        *("standardscaler-1", "passthrough", "standardscaler-2")
    ]


def test_fit_is_that_of_a_pipeline_and_partial_fit_goes_on_from_there():
    pipeline = PartialFitPipeline([("reduce", PCA(2)), ("clf", LogisticRegression())])
    expected = Pipeline(pipeline.steps)
    found = cross_validate(pipeline, X, y, cv=3)["test_score"]
    assert_same(found, cross_validate(expected, X, y, cv=3)["test_score"])
    pipeline = scaled().fit(X[:100], y[:100])
    scale = StandardScaler().fit(X[:100]).partial_fit(X[100:])
    assert_same(pipeline.partial_fit(X[100:], y[100:])["scale"].mean_, scale.mean_)
    assert_same(trained(scaled(), classes=CLASSES).fit(X, y).predict(X), Pipeline(scaled().steps).fit(X, y).predict(X))


def test_meta_estimators_of_scikit_learn_train_it_block_by_block():
    ovr = trained(OneVsRestClassifier(scaled()), classes=CLASSES)
    assert all(hasattr(estimator["scale"], "mean_") for estimator in ovr.estimators_)
    assert ovr.score(X, y) > 0.5
    sizes, *_, scores = learning_curve(scaled(), X, y, exploit_incremental_learning=True, train_sizes=[0.5, 1.0], cv=3)
    assert scores.shape == (len(sizes), 3)
    assert scores[-1].mean() > 0.5


@pytest.mark.parametrize("last", [SGDClassifier(random_state=0), SGDRegressor(random_state=0)])
def test_check_estimator_of_scikit_learn(last):
    # The two that scikit-learn expects of its own Pipeline.
    reason = "Pipeline changes the `steps` parameter"
    expected = dict.fromkeys(["check_dont_overwrite_parameters", "check_estimators_overwrite_params"], reason)
    results = check_estimator(scaled(last), expected_failed_checks=expected, on_skip=None)
    assert len(results) > 40
    assert {r["status"] for r in results} <= {"passed", "xfail", "skipped"}
    partial_fits = [r for r in results if "partial_fit" in r["check_name"]]
    assert partial_fits
    assert {r["status"] for r in partial_fits} == {"passed"}


def test_steps_are_not_checked_in_every_call(monkeypatch):
    pipeline = trained(scaled(), classes=CLASSES)

    def refuse(*args, **kwargs):
        raise AssertionError("checked again")

    monkeypatch.setattr("dhpo.compose.parts.learning_of", refuse)
    trained(pipeline)
    trained(pickle.loads(pickle.dumps(pipeline)))
    with pytest.raises(AssertionError, match="checked again"):
        trained(clone(pipeline))
