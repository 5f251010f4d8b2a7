"""PartialFitColumnTransformer: what its partial_fit does is what the transformers do by hand on their columns."""

from __future__ import annotations

import pickle
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.decomposition import PCA, IncrementalPCA
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import SGDClassifier
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    StandardScaler,
)
from sklearn.utils.estimator_checks import check_estimator

from dhpo.compose import (
    PartialFitColumnTransformer,
    PartialFitPipeline,
    make_partial_fit_column_transformer,
    make_partial_fit_pipeline,
)

TITANIC = Path("/work/shared/data/titanic.csv")
NUMBERS, CATEGORIES = ["Age", "Fare", "SibSp"], ["Sex", "Embarked", "Pclass"]


def passengers(n=500):
    """Rows like those of the Titanic: numbers, strings and missing values."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "Age": np.where(rng.random(n) < 0.2, np.nan, rng.integers(1, 70, n)),
            "Fare": rng.exponential(30, n),
            "SibSp": rng.integers(0, 4, n),
            "Sex": rng.choice(["male", "female"], n),
            "Embarked": rng.choice(np.array(["S", "C", "Q", None], dtype=object), n, p=[0.6, 0.2, 0.15, 0.05]),
            "Pclass": rng.integers(1, 4, n),
            "Name": [f"Passenger number {i}, {'Mr.' if i % 3 else 'Miss'}" for i in range(n)],
        }
    )
    survived = (frame["Sex"] == "female") ^ (rng.random(n) < 0.15)
    return frame, survived.to_numpy(int)


FRAME, SURVIVED = passengers()
LATE = FRAME.assign(Age=FRAME["Age"].where(FRAME.index >= 100))  # the first block has no age at all
BLOCKS = [slice(start, start + 100) for start in range(0, 500, 100)]
ENCODER = OneHotEncoder(categories=[["female", "male"], ["C", "Q", "S"], [1, 2, 3]], handle_unknown="ignore")
CLASSIFIER = SGDClassifier(alpha=0.01, random_state=0)
IMPUTER = SimpleImputer(strategy="constant", fill_value=-1.0, keep_empty_features=True)


def columns(**params):
    numbers = PartialFitPipeline([("impute", clone(IMPUTER)), ("scale", StandardScaler())])
    return PartialFitColumnTransformer(
        [
            ("numbers", numbers, NUMBERS),
            ("missing", MissingIndicator(features="all"), ["Age"]),
            ("categories", clone(ENCODER), CATEGORIES),
        ],
        **params,
    )


def trained(transformer, X=FRAME, **kwargs):
    for rows in BLOCKS:
        transformer.partial_fit(X[rows], **kwargs)
    return transformer


def dense(X):
    return X.toarray() if sparse.issparse(X) else np.asarray(X)


def by_hand(frame, target, blocks):
    impute, scale, encode = clone(IMPUTER), StandardScaler(), clone(ENCODER)
    clf = clone(CLASSIFIER)

    def transform(X):
        parts = [scale.transform(impute.transform(X[NUMBERS])), X[["Age"]].isna(), encode.transform(X[CATEGORIES])]
        return np.hstack([dense(part) for part in parts])

    impute.fit(frame[NUMBERS][blocks[0]])
    encode.fit(frame[CATEGORIES][blocks[0]])
    for rows in blocks:
        scale.partial_fit(impute.transform(frame[NUMBERS][rows]))
        clf.partial_fit(transform(frame[rows]), target[rows], classes=[0, 1])
    return transform, clf


@pytest.mark.parametrize("frame", [FRAME, LATE], ids=["some", "a whole block"])
def test_numbers_strings_and_missing_values_as_by_hand(frame):
    pipeline = PartialFitPipeline([("columns", columns()), ("clf", clone(CLASSIFIER))])
    for rows in BLOCKS * 3:
        pipeline.partial_fit(frame[rows], SURVIVED[rows], classes=[0, 1])
    transform, clf = by_hand(frame, SURVIVED, BLOCKS * 3)
    np.testing.assert_array_equal(dense(pipeline[0].transform(frame)), transform(frame))
    np.testing.assert_array_equal(pipeline["clf"].coef_, clf.coef_)
    assert pipeline.score(frame, SURVIVED) == clf.score(transform(frame), SURVIVED) > 0.75
    assert list(pipeline.feature_names_in_) == list(frame.columns)


@pytest.mark.skipif(not TITANIC.exists(), reason=f"{TITANIC} is not here")
def test_the_titanic():
    frame = pd.read_csv(TITANIC)
    blocks = [slice(start, start + 100) for start in range(0, len(frame), 100)]
    target = frame["Survived"].to_numpy()
    pipeline = PartialFitPipeline([("columns", columns()), ("clf", clone(CLASSIFIER))])
    for rows in blocks * 3:
        pipeline.partial_fit(frame[rows], target[rows], classes=[0, 1])
    transform, clf = by_hand(frame, target, blocks * 3)
    np.testing.assert_array_equal(pipeline["clf"].coef_, clf.coef_)
    assert pipeline.score(frame, target) == clf.score(transform(frame), target) > 0.75


ARRAY = FRAME[NUMBERS].to_numpy()


@pytest.mark.parametrize(
    ("X", "selected"),
    [
        (FRAME, ["Age", "Fare"]),
        (FRAME, [0, 1]),
        (FRAME, slice("Age", "Fare")),
        (FRAME, slice(0, 2)),
        (FRAME, [True, True, *[False] * 5]),
        (FRAME, np.arange(7) < 2),
        (FRAME, make_column_selector(dtype_include=float)),
        (FRAME, lambda X: [name for name in X.columns if name in ("Age", "Fare")]),
        (ARRAY, [0, 1]),
        (ARRAY, slice(None, -1)),
        (ARRAY, np.arange(3) < 2),
        (sparse.csr_array(np.nan_to_num(ARRAY)), [0, 1]),
    ],
    ids=lambda value: str(value)[:20].replace("\n", ""),
)
def test_every_way_to_select_columns(X, selected):
    given = PartialFitColumnTransformer([("scale", StandardScaler(with_mean=False), selected)], remainder="drop")
    scale = StandardScaler(with_mean=False)
    for rows in BLOCKS:
        block = X[:, [0, 1]][rows] if hasattr(X, "tocsr") else np.asarray(X)[:, :2][rows].astype(float)
        Xt = given.partial_fit_transform(X[rows])
        np.testing.assert_array_equal(dense(Xt), dense(scale.partial_fit(block).transform(block)))
    np.testing.assert_array_equal(given.named_transformers_["scale"].mean_, scale.mean_)


def test_a_callable_sees_the_first_block_alone():
    seen = []

    def select(X):
        seen.append(len(X))
        return ["Fare"]

    given = trained(PartialFitColumnTransformer([("scale", StandardScaler(), select)]))
    given.transform(FRAME)
    assert seen == [100]
    assert given.transformers_[0][2] == ["Fare"]


def test_a_column_of_text_and_what_remains():
    given = PartialFitColumnTransformer(
        [("text", HashingVectorizer(n_features=16), "Name"), ("nothing", "drop", ["Sex", "Embarked"])],
        remainder=PartialFitPipeline([("impute", clone(IMPUTER)), ("scale", MinMaxScaler())]),
    )
    remaining, impute, scale = ["Age", "Fare", "SibSp", "Pclass"], clone(IMPUTER), MinMaxScaler()
    impute.fit(FRAME[remaining])
    for rows in BLOCKS:
        Xt = given.partial_fit_transform(FRAME[rows])
        numbers = scale.partial_fit(impute.transform(FRAME[remaining][rows])).transform(
            impute.transform(FRAME[remaining][rows])
        )
        text = HashingVectorizer(n_features=16).transform(FRAME["Name"][rows])
        np.testing.assert_array_equal(dense(Xt), np.hstack([dense(text), numbers]))
    assert given.transformers_[-1][0] == "remainder"
    assert "MinMaxScaler" in given._repr_html_()


def test_passthrough_weights_and_empty_selections():
    given = PartialFitColumnTransformer(
        [("pass", "passthrough", ["Fare"]), ("none", StandardScaler(), []), ("scale", StandardScaler(), ["SibSp"])],
        remainder="passthrough",
        transformer_weights={"scale": 10},
    )
    some, scale = FRAME[["Age", "Fare", "SibSp"]], StandardScaler()
    for rows in BLOCKS:
        Xt = given.partial_fit_transform(some[rows])
        scaled = scale.partial_fit(some[["SibSp"]][rows]).transform(some[["SibSp"]][rows])
        np.testing.assert_array_equal(Xt, np.hstack([some[["Fare"]][rows], 10 * scaled, some[["Age"]][rows]]))
    assert given.output_indices_["scale"] == slice(1, 2)
    assert trained(PartialFitColumnTransformer([("no", "drop", ["Age"])])).transform(FRAME).shape == (500, 0)


def test_the_first_block_decides_whether_the_output_is_sparse():
    X = np.zeros((500, 4))
    X[:100, 0] = 1
    X[100:] = 1
    make_sparse = FunctionTransformer(sparse.csr_array)
    for first, threshold, expected in ((0, 0.5, True), (0, 0.2, False), (1, 0.5, False)):
        given = PartialFitColumnTransformer(
            [("a", clone(make_sparse), [1, 2, 3]), ("b", StandardScaler(), [0])], sparse_threshold=threshold
        )
        found = {sparse.issparse(given.partial_fit_transform(X[rows])) for rows in BLOCKS[first:]}
        assert found == {given.sparse_output_} == {sparse.issparse(given.transform(X))} == {expected}


def test_later_blocks_may_have_other_orders_but_not_lack_columns():
    given = columns().partial_fit(FRAME[:100])
    twin = clone(given).partial_fit(FRAME[:100])
    given.partial_fit(FRAME[100:200][FRAME.columns[::-1]].assign(more=1))
    twin.partial_fit(FRAME[100:200])
    np.testing.assert_array_equal(dense(given.transform(FRAME)), dense(twin.transform(FRAME)))
    with pytest.raises(ValueError, match=r"columns are missing: \{'Fare'\}"):
        given.partial_fit(FRAME.drop(columns="Fare"))
    with pytest.raises(ValueError, match="3 features"):
        PartialFitColumnTransformer([("scale", StandardScaler(), [0])]).partial_fit(ARRAY).partial_fit(ARRAY[:, :2])


@pytest.mark.parametrize(
    ("transformer", "error", "words"),
    [
        (PCA(), TypeError, "^transformers: 'wrong' is PCA.*IncrementalPCA"),
        (KBinsDiscretizer(), TypeError, "^transformers: 'wrong' is KBinsDiscretizer.*FrozenEstimator"),
        (OneHotEncoder(), ValueError, "^transformers: 'wrong' is OneHotEncoder.*categories="),
        (SimpleImputer(), ValueError, "^transformers: 'wrong' is SimpleImputer.*strategy='constant'"),
        (make_partial_fit_pipeline(PCA()), TypeError, "^transformers: 'wrong__pca' is PCA"),
        (SGDClassifier(), TypeError, "^transformers: 'wrong' is SGDClassifier.*no transform"),
        (make_partial_fit_pipeline(SGDClassifier()), TypeError, "'wrong__sgdclassifier' is SGD.*no transform"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_transformer_that_cannot_is_refused_by_name(transformer, error, words):
    scale = StandardScaler()
    first = PartialFitColumnTransformer([("scale", scale, [0]), ("wrong", transformer, [1])])
    remains = PartialFitColumnTransformer([("scale", scale, [0])], remainder=transformer)
    for given, name in ((first, "wrong"), (remains, "remainder")):
        for call in (given.check_steps, lambda given=given: given.partial_fit(ARRAY)):
            with pytest.raises(error, match=words.replace("wrong", name)):
                call()
        assert not hasattr(given, "transformers_")
    fitted = ColumnTransformer.fit
    if hasattr(transformer, "transform") and error is TypeError and not isinstance(transformer, PartialFitPipeline):
        given = fitted(first, np.nan_to_num(ARRAY))
        with pytest.raises(error, match=words):
            given.partial_fit(ARRAY)


def test_transformers_are_triples():
    for wrong in ([("scale", StandardScaler())], StandardScaler(), [1]):
        with pytest.raises(ValueError, match=r"^transformers=.* is not allowed"):
            PartialFitColumnTransformer(wrong).check_steps()


def test_an_error_in_the_first_block_leaves_nothing_behind():
    given = PartialFitColumnTransformer([("scale", StandardScaler(), [0]), ("reduce", IncrementalPCA(2), [1, 2])])
    X = np.nan_to_num(ARRAY)
    with pytest.raises(ValueError, match="n_components=2"):
        given.partial_fit(X[:1])
    with pytest.raises(NotFittedError):
        given.transform(X)
    scale, reduce = StandardScaler(), IncrementalPCA(2)
    for rows in BLOCKS:
        Xt = given.partial_fit_transform(X[rows])
        expected = [scale.partial_fit(X[rows, :1]), reduce.partial_fit(X[rows, 1:])]
        np.testing.assert_array_equal(
            Xt, np.hstack([expected[0].transform(X[rows, :1]), expected[1].transform(X[rows, 1:])])
        )
    before = reduce.components_.copy()
    with pytest.raises(ValueError, match="NaN"):
        given.partial_fit(np.array([[1, 2, 3], [4, 5, np.nan]]))
    assert [type(transformer) for _, transformer, _ in given.transformers_] == [StandardScaler, IncrementalPCA]
    np.testing.assert_array_equal(given.named_transformers_["reduce"].components_, before)


def test_what_is_given_is_cloned_and_never_trained():
    given = trained(columns(remainder=MinMaxScaler()), X=FRAME.drop(columns="Name"))
    assert not hasattr(given.transformers[0][1]["scale"], "mean_")
    assert not hasattr(given.remainder, "scale_")
    assert given.named_transformers_["numbers"]["scale"].n_samples_seen_ == 500


def test_parameters_clones_and_pickles():
    given = trained(columns().set_params(numbers__scale__with_mean=False))
    assert given.get_params()["numbers__scale__with_mean"] is False
    assert given.get_params(deep=False).keys() == ColumnTransformer([]).get_params(deep=False).keys()
    stored = pickle.dumps(given)
    assert b"_Trained" not in stored
    assert b"_Trained" not in pickle.dumps(columns(remainder="passthrough").partial_fit(FRAME))
    copied = pickle.loads(stored)
    np.testing.assert_array_equal(dense(copied.partial_fit_transform(FRAME)), dense(given.partial_fit_transform(FRAME)))
    fresh = clone(given)
    assert type(fresh) is PartialFitColumnTransformer
    assert fresh.get_params()["numbers__scale__with_mean"] is False
    with pytest.raises(NotFittedError):
        fresh.transform(FRAME)
    made = make_partial_fit_column_transformer((StandardScaler(), [0]), ("drop", [1]), remainder="passthrough")
    assert [name for name, *_ in made.transformers] == ["standardscaler", "drop"]
    assert trained(made, X=ARRAY).transform(ARRAY).shape == (500, 2)


def test_names_of_columns_and_pandas_output():
    dense_encoder = clone(ENCODER).set_params(sparse_output=False)
    given = PartialFitColumnTransformer(
        [("numbers", StandardScaler(), NUMBERS), ("categories", dense_encoder, CATEGORIES)]
    ).set_output(transform="pandas")
    names = ["categories__Sex_male", "categories__Embarked_C", "categories__Embarked_Q", "categories__Embarked_S"]
    for rows in BLOCKS:
        Xt = given.partial_fit_transform(FRAME[rows])
        assert list(Xt.columns) == list(given.get_feature_names_out())
        assert list(Xt.columns)[:3] == ["numbers__Age", "numbers__Fare", "numbers__SibSp"]
        assert list(Xt.columns)[4:8] == names
        assert Xt.index.equals(FRAME[rows].index)
    pd.testing.assert_frame_equal(given.transform(FRAME[BLOCKS[-1]]), Xt)


def test_fit_is_that_of_a_column_transformer_and_partial_fit_goes_on_from_there():
    given, expected = columns().fit(FRAME[:200]), ColumnTransformer(columns().transformers).fit(FRAME[:200])
    np.testing.assert_array_equal(dense(given.transform(FRAME)), dense(expected.transform(FRAME)))
    encoder = given.named_transformers_["categories"]
    given.partial_fit(FRAME[200:])
    assert given.named_transformers_["categories"] is encoder
    impute = clone(IMPUTER).fit(FRAME[NUMBERS])
    scale = StandardScaler().fit(impute.transform(FRAME[NUMBERS][:200]))
    scale.partial_fit(impute.transform(FRAME[NUMBERS][200:]))
    np.testing.assert_array_equal(given.named_transformers_["numbers"]["scale"].mean_, scale.mean_)
    given.fit(FRAME[:200])
    np.testing.assert_array_equal(dense(given.transform(FRAME)), dense(expected.transform(FRAME)))
    given.partial_fit(FRAME[200:])
    np.testing.assert_array_equal(given.named_transformers_["numbers"]["scale"].mean_, scale.mean_)


def test_other_transformers_take_effect_with_the_next_fit():
    drops = [("no", "drop", [0]), ("nor", "drop", [2])]
    given = trained(PartialFitColumnTransformer([*drops, ("scale", StandardScaler(), [1])]), X=ARRAY)
    given.set_params(transformers=drops[:1])
    assert trained(given, X=ARRAY).transform(ARRAY).shape == (500, 1)
    assert trained(given.fit(ARRAY), X=ARRAY).transform(ARRAY).shape == (500, 0)


class NoBackend(joblib.parallel.ParallelBackendBase):
    """Would run elsewhere, where what is learned is lost."""

    supports_sharedmem = True

    def effective_n_jobs(self, n_jobs):
        return 1 if n_jobs == 1 else 2

    def submit(self, *args, **kwargs):
        raise AssertionError("sent away")

    apply_async = submit


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_transformers_learn_here_whatever_joblib_is_told(n_jobs):
    joblib.register_parallel_backend("none", NoBackend)
    with joblib.parallel_config(backend="none", n_jobs=2):
        given = trained(columns(n_jobs=n_jobs))
        with pytest.raises(AssertionError, match="sent away"):
            given.transform(FRAME)
    assert given.n_jobs == n_jobs
    assert given.named_transformers_["numbers"]["scale"].n_samples_seen_ == 500


def test_metadata_routing():
    weights = np.linspace(0, 2, 500)
    with pytest.raises(ValueError, match=r"sample_weight is not allowed.*enable_metadata_routing"):
        columns().partial_fit(FRAME, sample_weight=weights)
    with sklearn.config_context(enable_metadata_routing=True):
        given = PartialFitColumnTransformer(
            [
                ("weighed", StandardScaler().set_partial_fit_request(sample_weight=True), [0]),
                ("not", StandardScaler().set_partial_fit_request(sample_weight=False), [0]),
                ("once", Normalizer(), [2]),
            ]
        )
        clf = SGDClassifier().set_partial_fit_request(sample_weight=False)
        pipeline = PartialFitPipeline([("columns", given), ("clf", clf)])
        X, expected = np.nan_to_num(ARRAY), [StandardScaler(), StandardScaler()]
        for rows in BLOCKS:
            pipeline.partial_fit(X[rows], SURVIVED[rows], classes=[0, 1], sample_weight=weights[rows])
            expected[0].partial_fit(X[rows, :1], sample_weight=weights[rows])
            expected[1].partial_fit(X[rows, :1])
    for name, scale in zip(("weighed", "not"), expected, strict=True):
        np.testing.assert_array_equal(given.named_transformers_[name].mean_, scale.mean_)


def test_check_estimator_of_scikit_learn():
    # Those that scikit-learn expects of its own ColumnTransformer.
    names = [
        *("check_estimators_empty_data_messages", "check_estimators_nan_inf", "check_estimator_sparse_array"),
        *("check_estimator_sparse_matrix", "check_fit1d", "check_fit2d_predict1d", "check_complex_data"),
        "check_fit2d_1feature",
    ]
    given = PartialFitColumnTransformer([("scale", StandardScaler(), [0, 1])])
    results = check_estimator(given, expected_failed_checks=dict.fromkeys(names, "FIXME"), on_skip=None)
    assert len(results) > 30
    assert {r["status"] for r in results} <= {"passed", "xfail", "skipped"}


def test_transformers_are_not_checked_in_every_call(monkeypatch):
    given = trained(columns())

    def refuse(*args, **kwargs):
        raise AssertionError("checked again")

    monkeypatch.setattr("dhpo.compose.parts.learning_of", refuse)
    trained(given)
    trained(pickle.loads(pickle.dumps(given)))
    with pytest.raises(AssertionError, match="checked again"):
        trained(clone(given))
