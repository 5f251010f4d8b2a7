"""Whatever X and y come as, `fit` takes it, and the answer is that of the same rows in any other container."""

from __future__ import annotations

import asyncio
import warnings

import dask
import dask.array as da
import dask.dataframe as dd
import distributed
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.stats import loguniform
from sklearn.base import BaseEstimator
from sklearn.cluster import MiniBatchKMeans
from sklearn.linear_model import LogisticRegression, SGDClassifier, SGDRegressor
from sklearn.naive_bayes import GaussianNB

from dhpo import GridSearchCV, HyperbandSearchCV, IncrementalSearchCV, RandomizedSearchCV

ROWS, COLUMNS, CHUNK = 600, 5, 100
SPACE = {"alpha": loguniform(1e-5, 1e-1)}


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(ROWS, COLUMNS))
    y = (X @ [2.0, -1.0, 0.5, 0.0, 0.0] + 0.1 * rng.normal(size=ROWS) > 0).astype(int)
    return X, y


def make_search(estimator=None, **kwargs):
    kwargs = {"max_iter": 9, "random_state": 0, "verbose": 0, "test_size": 0.2} | kwargs
    return HyperbandSearchCV(SGDClassifier() if estimator is None else estimator, SPACE, **kwargs)


@pytest.fixture(scope="module")
def expected(cluster, arrays):
    X, y = arrays
    with distributed.Client(cluster):
        return make_search().fit(da.from_array(X, (CHUNK, -1)), da.from_array(y, CHUNK), classes=[0, 1]).cv_results_


def assert_same_answer(search, expected):
    assert search.cv_results_["params"].tolist() == expected["params"].tolist()
    np.testing.assert_array_equal(search.cv_results_["test_score"], expected["test_score"])
    assert 0.8 < search.best_score_ <= 1


def frames(X, y):
    frame = pd.DataFrame(X, columns=list("abcde"))
    return dd.from_pandas(frame, npartitions=6), dd.from_pandas(pd.Series(y, name="y"), npartitions=6)


CONTAINERS = {
    "dask arrays": lambda X, y: (da.from_array(X, (CHUNK, -1)), da.from_array(y, CHUNK)),
    "lazy dask arrays": lambda X, y: (
        da.from_array(X, (CHUNK, -1)).map_blocks(np.array),
        da.from_array(y, CHUNK).map_blocks(np.array),
    ),
    "persisted dask arrays": lambda X, y: dask.persist(da.from_array(X, (CHUNK, -1)), da.from_array(y, CHUNK)),
    "computed from persisted arrays": lambda X, y: (
        da.from_array(X - 1, (CHUNK, -1)).persist() + 1,
        da.from_array(y, CHUNK).persist(),
    ),
    "column chunks": lambda X, y: (da.from_array(X, (CHUNK, 2)), da.from_array(y, CHUNK)),
    "y as one column": lambda X, y: (da.from_array(X, (CHUNK, -1)), da.from_array(y[:, None], (CHUNK, 1))),
    "dask array and numpy y": lambda X, y: (da.from_array(X, (CHUNK, -1)), y),
    "numpy X and dask y": lambda X, y: (X, da.from_array(y, CHUNK)),
    "dask array and pandas y": lambda X, y: (da.from_array(X, (CHUNK, -1)), pd.Series(y)),
    "dask array and list y": lambda X, y: (da.from_array(X, (CHUNK, -1)), y.tolist()),
    "dataframe and series": frames,
    "dataframe expression": lambda X, y: ((frames(X - 1, y)[0] + 1), frames(X, y)[1]),
    "dataframe and dask array": lambda X, y: (frames(X, y)[0], da.from_array(y, CHUNK)),
    "dataframe and numpy y": lambda X, y: (frames(X, y)[0], y),
    "array of unknown lengths and series": lambda X, y: (frames(X, y)[0].to_dask_array(), frames(X, y)[1]),
    "array of unknown lengths and array of unknown lengths": lambda X, y: (
        frames(X, y)[0].values,
        frames(X, y)[1].values,
    ),
    "persisted dataframe and series": lambda X, y: dask.persist(*frames(X, y)),
    "sparse blocks": lambda X, y: (
        da.from_array(X, (CHUNK, -1)).map_blocks(sp.csr_matrix, dtype=float),
        da.from_array(y, CHUNK),
    ),
    "sparse array in memory and dask y": lambda X, y: (sp.csr_array(X), da.from_array(y, CHUNK)),
    "coo matrix in memory and dask y": lambda X, y: (sp.coo_matrix(X), da.from_array(y, CHUNK)),
}


@pytest.mark.filterwarnings("ignore:A column-vector y was passed:sklearn.exceptions.DataConversionWarning")
@pytest.mark.parametrize("container", CONTAINERS)
def test_answer_does_not_depend_on_the_container(client, arrays, expected, container):
    X, y = CONTAINERS[container](*arrays)
    search = make_search().fit(X, y, classes=[0, 1])
    if "sparse" in container or "coo" in container:  # SGD itself lets the intercept of sparse data learn more slowly
        assert search.cv_results_["params"].tolist() == expected["params"].tolist()
        assert search.best_score_ > 0.9
    else:
        assert_same_answer(search, expected)


def test_misaligned_chunks_are_aligned_with_a_warning_that_names_the_cost(client, arrays, expected):
    X, y = arrays
    with pytest.warns(
        UserWarning, match="chunks of y do not match those of X: to read every block once, 7 chunks of y"
    ):
        search = make_search().fit(da.from_array(X, (CHUNK, -1)), da.from_array(y, 250), classes=[0, 1])
    assert_same_answer(search, expected)


def test_unknown_lengths_and_other_chunks_are_counted_and_aligned(client, arrays, expected):
    X, y = arrays
    with pytest.warns(UserWarning, match="chunks of y do not match"):
        search = make_search().fit(frames(X, y)[0], dd.from_pandas(pd.Series(y), npartitions=4), classes=[0, 1])
    assert_same_answer(search, expected)


@pytest.mark.parametrize("kind", ["numpy", "pandas", "sparse", "list"])
def test_data_in_memory_is_one_block(client, arrays, kind):
    X, y = arrays
    data = {
        "numpy": X,
        "pandas": pd.DataFrame(X, columns=list("abcde")),
        "sparse": sp.csr_matrix(X),
        "list": X.tolist(),
    }
    search = make_search(test_size=None).fit(data[kind], y)
    assert search.metadata_["n_blocks"] == 1
    assert search.best_score_ > 0.8
    assert search.n_features_in_ == COLUMNS
    assert (search.feature_names_in_.tolist() == list("abcde")) if kind == "pandas" else True


def test_string_labels_and_classes_found_in_the_data(client, arrays):
    X, y = arrays
    labels = np.array(["no", "yes"], dtype=object)[np.sort(y)]  # sorted: early blocks hold one class alone
    search = make_search().fit(da.from_array(X[np.argsort(y)], (CHUNK, -1)), da.from_array(labels, CHUNK))
    assert search.classes_.tolist() == ["no", "yes"]
    assert set(search.predict(X[:20])) <= {"no", "yes"}
    strings = dd.from_pandas(pd.Series(labels), npartitions=6)
    again = make_search().fit(da.from_array(X[np.argsort(y)], (CHUNK, -1)), strings)
    np.testing.assert_array_equal(again.cv_results_["test_score"], search.cv_results_["test_score"])


@pytest.mark.parametrize("kind", ["dask", "numpy", "list", "series"])
def test_sample_weight_goes_with_its_rows(client, arrays, kind):
    X, y = arrays
    weight = np.where(y == 1, 1.0, 0.0)  # the zeros might as well be gone: all is "1" to such a model
    given = {
        "dask": da.from_array(weight, CHUNK),
        "numpy": weight,
        "list": weight.tolist(),
        "series": dd.from_pandas(pd.Series(weight), npartitions=6),
    }[kind]
    search = make_search().fit(
        da.from_array(X, (CHUNK, -1)), da.from_array(y, CHUNK), classes=[0, 1], sample_weight=given
    )
    assert search.predict(X).mean() > 0.8
    unweighted = make_search().fit(da.from_array(X, (CHUNK, -1)), da.from_array(y, CHUNK), classes=[0, 1])
    assert unweighted.predict(X).mean() < 0.7


def test_regressor(client, arrays):
    X, _ = arrays
    y = X @ [2.0, -1.0, 0.5, 0.0, 0.0]
    search = make_search(SGDRegressor()).fit(da.from_array(X, (CHUNK, -1)), da.from_array(y, CHUNK))
    assert search.best_score_ > 0.9
    assert search.score(da.from_array(X, (CHUNK, -1)), da.from_array(y, CHUNK)) == pytest.approx(search.score(X, y))


def test_clustering_without_y(client, arrays):
    X, _ = arrays
    space = {"n_clusters": [2, 3, 4, 5, 6, 7, 8, 9]}
    search = IncrementalSearchCV(
        MiniBatchKMeans(n_init=1), space, n_initial_parameters=4, max_iter=3, random_state=0, verbose=0
    )
    search.fit(da.from_array(X, (CHUNK, -1)))
    labels = search.predict(da.from_array(X, (CHUNK, -1)))
    assert labels.shape == (ROWS,)
    assert search.score(X) == pytest.approx(search.best_estimator_.score(X))
    assert search.transform(X).shape == (ROWS, search.best_params_["n_clusters"])


class MeanOnly(BaseEstimator):
    """An estimator with partial_fit and predict alone."""

    def __init__(self, shift=0.0):
        self.shift = shift

    def partial_fit(self, X, y):
        self.mean_ = float(np.mean(y))
        return self

    def predict(self, X):
        return np.full(len(X), self.mean_ + self.shift)


def test_estimator_with_partial_fit_and_predict_alone(client, arrays):
    X, _ = arrays
    y = np.arange(ROWS, dtype=float)
    search = RandomizedSearchCV(
        MeanOnly(), {"shift": [0.0, 1000.0]}, n_iter=2, max_iter=2, scoring="neg_mean_squared_error", verbose=0
    ).fit(da.from_array(X, (CHUNK, -1)), da.from_array(y, CHUNK))
    assert search.best_params_ == {"shift": 0.0}


class Bare:
    """Not even a scikit-learn estimator."""

    def __init__(self, shift=0.0):
        self.shift = shift

    def get_params(self, deep=True):
        return {"shift": self.shift}

    def set_params(self, **params):
        self.shift = params.get("shift", self.shift)
        return self

    def partial_fit(self, X, y):
        self.mean_ = float(np.mean(y))

    def predict(self, X):
        return np.full(len(X), self.mean_ + self.shift)

    def score(self, X, y):
        return -float(np.mean((self.predict(X) - y) ** 2))


@pytest.mark.parametrize("scoring", [None, "neg_mean_absolute_error", "neg_median_absolute_error"])
def test_estimator_of_no_library(client, arrays, scoring):
    X, _ = arrays
    search = RandomizedSearchCV(Bare(), {"shift": [0.0, 1000.0]}, n_iter=2, max_iter=2, scoring=scoring, verbose=0).fit(
        da.from_array(X, (CHUNK, -1)), da.from_array(np.arange(ROWS, dtype=float), CHUNK)
    )
    assert search.best_params_ == {"shift": 0.0}


def test_estimator_whose_blocks_have_no_rows_left(client):
    X, y = np.arange(12.0)[:, None], np.arange(12) % 2
    search = RandomizedSearchCV(
        GaussianNB(), {"var_smoothing": [1e-9, 1e-3]}, n_iter=2, max_iter=12, test_size=0.5, random_state=0, verbose=0
    ).fit(da.from_array(X, (1, 1)), da.from_array(y, 1))
    assert 0 < search.metadata_["n_blocks"] < 12  # those whose only row is held out are not visited
    assert search.metadata_["partial_fit_calls"] == 24


def test_validation_data_of_ones_own(client, arrays):
    X, y = arrays
    Xd, yd = da.from_array(X, (CHUNK, -1)), da.from_array(y, CHUNK)
    search = make_search(test_size=None).fit(Xd, yd, classes=[0, 1], validation_data=(X[:50], y[:50]))
    assert search.best_score_ == search.best_estimator_.score(X[:50], y[:50])
    lazily = make_search(test_size=None).fit(Xd, yd, classes=[0, 1], validation_data=(Xd[:50], yd[:50]))
    np.testing.assert_array_equal(lazily.cv_results_["test_score"], search.cv_results_["test_score"])


def test_without_a_client_a_local_cluster_is_started_and_closed(arrays):
    with pytest.raises(ValueError, match=r"client|Client"):
        distributed.default_client()
    X, y = arrays
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        search = make_search().fit(da.from_array(X, (CHUNK, -1)), da.from_array(y, CHUNK), classes=[0, 1])
    assert search.best_score_ > 0.8
    with pytest.raises(ValueError, match=r"client|Client"):
        distributed.default_client()


def test_an_asynchronous_client_awaits_fit(arrays):
    X, y = arrays

    async def search():
        async with (
            distributed.LocalCluster(
                n_workers=1, threads_per_worker=2, processes=False, asynchronous=True, dashboard_address="127.0.0.1:0"
            ) as cluster,
            distributed.Client(cluster, asynchronous=True),
        ):
            return await make_search().fit(da.from_array(X, (CHUNK, -1)), da.from_array(y, CHUNK), classes=[0, 1])

    found = asyncio.run(search())
    assert found.best_score_ > 0.8


@pytest.mark.parametrize("method", ["predict", "decision_function", "predict_proba"])
def test_prediction_is_lazy_on_dask_collections_and_equal(client, arrays, method):
    X, y = arrays
    search = make_search(SGDClassifier(loss="log_loss")).fit(da.from_array(X, (CHUNK, -1)), da.from_array(y, CHUNK))
    lazy = getattr(search, method)(da.from_array(X, (CHUNK, 2)))
    assert isinstance(lazy, da.Array)
    assert lazy.chunks[0] == (CHUNK,) * 6
    expected = getattr(search, method)(X)
    assert lazy.dtype == expected.dtype
    np.testing.assert_allclose(lazy.compute(), expected)


def test_prediction_on_dataframes(client, arrays):
    X, y = arrays
    frame, series = frames(X, y)
    search = make_search().fit(frame, series)
    lazy = search.predict(frame)
    assert isinstance(lazy, da.Array)
    np.testing.assert_array_equal(lazy.compute(), search.predict(frame.compute()))
    assert search.score(frame, series) == search.score(frame.compute(), y)


SHUFFLES = {
    "set_index": lambda frame: frame.set_index("day"),
    "sort_values": lambda frame: frame.sort_values("day"),
    "shuffle": lambda frame: frame.shuffle("day"),
    "merge": lambda frame: frame.merge(frame[["a", "day"]], on="a"),
}


def with_days(X, y):
    frame = pd.DataFrame(X, columns=list("abcde")).assign(y=y, day=np.arange(len(y)) % 7)
    return dd.from_pandas(frame, npartitions=4)


@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_rows_keep_their_labels_through_a_shuffle(client, arrays, shuffle):
    frame = SHUFFLES[shuffle](with_days(*arrays))
    X, y = frame[list("abcde")], frame["y"]
    search = make_search(max_iter=3).fit(X, y, classes=[0, 1])
    assert search.best_score_ > 0.8  # 0.5 where they lose them
    whole = GridSearchCV(LogisticRegression(), {"C": [1.0]}, cv=2, verbose=0).fit(X, y)
    assert whole.best_score_ > 0.8


@pytest.mark.parametrize("with_client", [True, False])
def test_arrays_that_dask_has_shuffled_or_rechunked_all_at_once_are_refused_at_the_door(arrays, with_client, request):
    if with_client:
        request.getfixturevalue("client")
    frame = with_days(*arrays).shuffle("day")
    X, y = frame[list("abcde")].to_dask_array(lengths=True), frame["y"].to_dask_array(lengths=True)
    message = r"X was shuffled by Dask .* persist what X and y .*'dataframe.shuffle.method': 'tasks'"
    for search in (make_search(), GridSearchCV(LogisticRegression(), {"C": [1.0]}, verbose=0)):
        with pytest.raises(ValueError, match=message):
            search.fit(X, y)


def test_an_array_that_dask_rechunks_all_at_once(client, arrays):
    X, y = arrays
    X = (da.from_array(X, (50, -1)) + 0).rechunk((-1, 1), method="p2p").rechunk((CHUNK, COLUMNS), method="p2p")
    with pytest.raises(ValueError, match=r"X was rechunked by Dask .*'array.rechunk.method': 'tasks'"):
        make_search().fit(X, y)
    search = GridSearchCV(LogisticRegression(), {"C": [1.0]}, cv=2, verbose=0).fit(X, y)
    assert search.best_score_ > 0.8
    make_search(max_iter=3).fit(X.persist(), y, classes=[0, 1])
