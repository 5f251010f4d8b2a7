"""What can be wrong with a client or with data that only a look at it shows."""

from __future__ import annotations

import asyncio
import queue
import resource
import threading
from typing import Any

import dask.array as da
import dask.dataframe as dd
import distributed
import numpy as np
import pandas as pd
import pytest
import sklearn.base
from dask import delayed
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.svm import SVC

from dhpo import GridSearchCV, PartialFitPipeline, RandomizedSearchCV, SearchFailed

GRID = {"alpha": [1e-4, 1e-3]}


def make_search(**kwargs):
    return RandomizedSearchCV(SGDClassifier(), GRID, n_iter=2, max_iter=2, random_state=0, verbose=0, **kwargs)


def test_a_closed_client_is_refused(cluster):
    client = distributed.Client(cluster, set_as_default=False)
    client.close()
    with client.as_current(), pytest.raises(ValueError, match=r"the current client is closed.*Start a new"):
        make_search().fit(da.ones((10, 2), chunks=5), da.ones(10, chunks=5))


def test_lengths_that_turn_out_to_differ_are_named(client):
    frame = dd.from_pandas(pd.DataFrame({"a": range(20)}), npartitions=2)
    y = dd.from_pandas(pd.Series(range(20)), npartitions=2)
    with pytest.raises(ValueError, match=r"X has 20, y has 19. .*block 0 of X has 10 rows and of y 9"):
        make_search().fit(frame, y[y != 3])


def test_a_test_size_that_holds_out_nothing_is_refused(client):
    with pytest.raises(ValueError, match=r"test_size=1e-09 holds out no row of n_samples=20"):
        make_search(test_size=1e-9).fit(da.ones((20, 2), chunks=(10, 2)), da.from_array(np.arange(20) % 2, 10))


def test_a_block_that_cannot_be_computed_raises_its_own_error(client):
    def broken(block):
        raise OSError("the disk is gone")

    X = da.ones((20, 2), chunks=(10, 2)).map_blocks(broken, meta=np.empty((0, 0)))
    with pytest.raises(SearchFailed, match=r"block 0 could not be read: OSError: the disk is gone") as seen:
        make_search().fit(X, da.ones(20, chunks=10), classes=[0, 1])
    assert isinstance(seen.value.__cause__, OSError)


@pytest.fixture(scope="module")
def arrays():
    X = np.random.default_rng(0).normal(size=(60, 3))
    return X, (X[:, 0] > 0).astype(int)


def same_answer(one, other):
    np.testing.assert_array_equal(one.cv_results_["test_score"], other.cv_results_["test_score"])
    np.testing.assert_array_equal(one.best_estimator_.coef_, other.best_estimator_.coef_)


@pytest.mark.parametrize("kind", ["collection", "future", "delayed"])
def test_classes_that_dask_has_yet_to_compute(client, arrays, kind):
    X, y = da.from_array(arrays[0], (20, -1)), da.from_array(arrays[1], 20)
    classes = {
        "collection": lambda: da.unique(y),
        "future": lambda: client.compute(da.unique(y)),
        "delayed": lambda: delayed(np.unique)(arrays[1]),
    }[kind]()
    same_answer(make_search().fit(X, y, classes=classes), make_search().fit(X, y, classes=[0, 1]))


def test_classes_that_dask_has_yet_to_compute_with_an_asynchronous_client(cluster, arrays):
    X, y = da.from_array(arrays[0], (20, -1)), da.from_array(arrays[1], 20)

    async def search():
        async with distributed.Client(cluster.scheduler_address, asynchronous=True):
            return await asyncio.wait_for(make_search().fit(X, y, classes=da.unique(y)), 300)

    assert asyncio.run(search()).classes_.tolist() == [0, 1]


def test_a_journal_goes_on_where_classes_are_yet_to_be_computed(client, arrays, tmp_path):
    X, y = da.from_array(arrays[0], (20, -1)), da.from_array(arrays[1], 20)
    first, again = (make_search().fit(X, y, classes=da.unique(y), journal=tmp_path) for _ in range(2))
    same_answer(first, again)
    assert again.metadata_["tasks"] == first.metadata_["tasks"]


def test_labels_that_are_none_of_the_classes_are_named_before_training(client, arrays):
    search = make_search()
    with pytest.raises(ValueError, match=r"classes=\[0, 2\] lacks 1 label of y: 1\. Give all of them"):
        search.fit(*arrays, classes=[0, 2])
    assert not search.history_


@pytest.mark.parametrize(("journal", "error"), [("", ValueError), (3, TypeError), (True, TypeError)])
def test_a_journal_that_is_no_folder_is_refused(client, arrays, journal, error):
    with pytest.raises(error, match=f"journal={journal!r}"):
        make_search().fit(*arrays, journal=journal)


def test_more_classes_than_labels_are_fine(client, arrays):
    assert make_search().fit(*arrays, classes=[0, 1, 2]).classes_.tolist() == [0, 1, 2]


def test_a_delayed_object_is_one_block(client, arrays):
    X, y = arrays
    search = RandomizedSearchCV(SGDClassifier(), GRID, n_iter=2, max_iter=2, random_state=0, verbose=0)
    search.fit(delayed(X), delayed(y))
    assert search.metadata_["n_blocks"] == 1
    same_answer(search, make_search().fit(X, y))
    same_answer(search, make_search().fit(delayed(X), y))
    same_answer(search, make_search().fit(X, delayed(y.tolist())))


def test_delayed_objects_in_a_list_are_a_block_each(client, arrays):
    X, y = arrays
    search = make_search().fit([delayed(X[:30]), delayed(X[30:])], [delayed(y[:30]), delayed(y[30:])])
    assert search.metadata_["n_blocks"] == 2
    same_answer(search, make_search().fit(da.from_array(X, (30, -1)), da.from_array(y, 30)))
    frames = [delayed(pd.DataFrame)(part, columns=list("abc")) for part in (X[:30], X[30:])]
    same_answer(search, make_search().fit(frames, y))


def test_a_delayed_object_of_another_shape_is_refused(client, arrays):
    with pytest.raises(ValueError, match="X has 1 dimension"):
        make_search().fit(delayed(arrays[1]), arrays[1])


def test_delayed_objects_are_fitted_whole_where_there_is_no_max_iter(client, arrays):
    X, y = arrays
    for estimator, grid in ((SVC(), {"C": [1, 10]}), (SGDClassifier(random_state=0), GRID)):
        search = GridSearchCV(estimator, grid, cv=3, verbose=0)
        expected = search.fit(X, y).cv_results_["mean_test_score"]
        found = search.fit(delayed(X), delayed(y)).cv_results_["mean_test_score"]
        np.testing.assert_array_equal(found, expected)
    parts = [delayed(X[:30]), delayed(X[30:])]
    found = GridSearchCV(SVC(), {"C": [1, 10]}, cv=3, verbose=0).fit(parts, y)
    np.testing.assert_array_equal(found.predict(X), SVC(**found.best_params_).fit(X, y).predict(X))


def test_frames_of_as_many_partitions_with_other_divisions_are_aligned(client, arrays):
    X, y = arrays
    frame, target = pd.DataFrame(X, columns=list("abc")), pd.Series(y)
    lazy = dd.from_pandas(frame, npartitions=3).repartition(divisions=[0, 10, 25, 59])
    other = dd.from_pandas(target, npartitions=3)
    assert lazy.npartitions == other.npartitions
    with pytest.warns(UserWarning, match="chunks of y do not match those of X"):
        search = make_search().fit(lazy, other)
    same = dd.from_pandas(target, npartitions=1).repartition(divisions=[0, 10, 25, 59])
    same_answer(search, make_search().fit(lazy, same))


def of_lengths(data: Any, *lengths: int) -> Any:
    """A frame or series of partitions of these lengths, of which Dask knows neither lengths nor divisions."""
    ends = np.cumsum(lengths)
    return dd.from_delayed([delayed(data.iloc[end - n : end]) for n, end in zip(lengths, ends, strict=True)])


@pytest.mark.parametrize("kind", ["frames", "without labels", "arrays"])
def test_as_many_partitions_of_unknown_and_other_lengths_are_aligned_by_their_rows(client, arrays, kind):
    X, y = arrays
    labels = range(60) if kind != "without labels" else range(1000, 1060)
    lazy = of_lengths(pd.DataFrame(X, columns=list("abc"), index=labels), 10, 20, 20, 10)
    target = of_lengths(pd.Series(y), 20, 20, 10, 10)  # some are as long as those of X, and of other rows
    if kind == "without labels":
        lazy, target = lazy.reset_index(drop=True), target.reset_index(drop=True)
    if kind == "arrays":
        lazy, target = lazy.to_dask_array(), target.to_dask_array()
    with pytest.warns(UserWarning, match="chunks of y do not match those of X"):
        search = make_search().fit(lazy, target)
    same_answer(search, make_search().fit(da.from_array(X, ((10, 20, 20, 10), 3)), da.from_array(y, (10, 20, 20, 10))))


def test_partitions_of_other_lengths_with_other_labels_are_refused(client, arrays):
    X, y = arrays
    lazy = of_lengths(pd.DataFrame(X, columns=list("abc")), 10, 20, 30)
    target = of_lengths(pd.Series(y, index=range(1000, 1060)), 30, 20, 10)
    with (
        pytest.warns(UserWarning, match="chunks of y do not match those of X"),
        pytest.raises(ValueError, match=r"labels \(X: 10, 11, 12, ...; y: 1010, 1011, 1012, ...\).*reset_index"),
    ):
        make_search().fit(lazy, target)


def test_lazy_strings_that_are_no_numbers_are_refused_before_training(client, arrays):
    y = dd.from_pandas(pd.Series(arrays[1]), npartitions=3)
    lazy = dd.from_pandas(pd.DataFrame({"kind": ["x"] * 60, "size": arrays[0][:, 0]}), npartitions=3)
    search = make_search()
    with pytest.raises(ValueError, match=r"SGDClassifier takes columns of numbers.*'kind' \(str"):
        search.fit(lazy, y)
    assert not search.history_


def test_lazy_strings_that_are_numbers_are_taken(client, arrays):
    X, y = arrays
    numbers = pd.DataFrame(X, columns=list("abc"))
    lazy = dd.from_pandas(numbers.assign(a=numbers["a"].astype(str)), npartitions=3)
    target = dd.from_pandas(pd.Series(y), npartitions=3)
    same_answer(make_search().fit(lazy, target), make_search().fit(dd.from_pandas(numbers, npartitions=3), target))


DOCUMENTS = {
    "list": lambda texts: texts,
    "array": lambda texts: np.array(texts),
    "array of objects": lambda texts: np.array(texts, dtype=object),
    "series": lambda texts: pd.Series(texts),
    "dask array": lambda texts: da.from_array(np.array(texts), 20),
    "dask array of objects": lambda texts: da.from_array(np.array(texts, dtype=object), 20),
    "dask series": lambda texts: dd.from_pandas(pd.Series(texts), npartitions=3),
    "delayed": lambda texts: [delayed(texts[:30]), delayed(texts[30:])],
}


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_a_text_for_each_row(client, kind):
    y = np.arange(60) % 2
    X = DOCUMENTS[kind](["a good one" if label else "a bad one" for label in y])
    pipeline = PartialFitPipeline([("words", HashingVectorizer(n_features=64)), ("model", SGDClassifier())])
    search = RandomizedSearchCV(pipeline, {"model__alpha": [1e-3]}, n_iter=1, max_iter=8, random_state=0, verbose=0)
    search.fit(X, y)
    assert search.best_score_ == 1
    if kind != "delayed":
        np.testing.assert_array_equal(np.asarray(search.predict(X)), y)
        assert search.score(X, y) == 1


def test_of_threads_that_fit_one_search_all_but_the_first_are_refused_and_the_search_stays_usable(client, arrays):
    def when_told(block):
        distributed.Event("read").wait(300)
        return block

    X = da.from_array(arrays[0], (20, -1)).map_blocks(when_told, meta=np.empty((0, 0)))
    y = da.from_array(arrays[1], 20)
    search = make_search()
    refused: queue.Queue[str] = queue.Queue()
    fitted = []

    def fit():
        try:
            fitted.append(search.fit(X, y))
        except RuntimeError as error:
            refused.put(str(error))

    threads = [threading.Thread(target=fit) for _ in range(4)]
    for thread in threads:
        thread.start()
    said = [refused.get(timeout=300) for _ in range(3)]
    distributed.Event("read").set()
    for thread in threads:
        thread.join()
    assert fitted == [search]
    assert all("this search is running" in words for words in said)
    same_answer(search, sklearn.base.clone(search).fit(X, y))
    distributed.Event("read").clear()


def test_a_search_that_was_refused_at_the_door_can_be_fitted(client, arrays):
    search = make_search()
    with pytest.raises(ValueError, match="X has 60"):
        search.fit(arrays[0], arrays[1][:5])
    assert len(search.fit(*arrays).history_) == 2


class Large(SGDClassifier):
    """With a model that takes 500 kB on disk."""

    def partial_fit(self, X, y, classes=None):
        self.ballast_ = bytes(500_000)
        return super().partial_fit(X, y, classes=classes)


@pytest.fixture
def no_large_files(client):
    """No file of the workers grows beyond 100 kB, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    client.run(resource.setrlimit, resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    client.run(resource.setrlimit, resource.RLIMIT_FSIZE, before)


def test_a_full_disk_under_the_models_is_told_with_folder_and_setting(client, no_large_files, scratch, arrays):
    search = RandomizedSearchCV(Large(), GRID, n_iter=2, max_iter=2, random_state=0, verbose=0)
    with pytest.raises(SearchFailed, match=rf"cannot write to {scratch}.*models\. .* by temporary-directory"):
        search.fit(da.from_array(arrays[0], (20, -1)), arrays[1])


def test_a_full_disk_under_the_journal_is_told_with_folder_and_setting(client, no_large_files, tmp_path, arrays):
    search = RandomizedSearchCV(Large(), GRID, n_iter=2, max_iter=2, random_state=0, verbose=0)
    with pytest.raises(SearchFailed, match=rf"cannot write to .*{tmp_path}.* by journal= of fit"):
        search.fit(da.from_array(arrays[0], (20, -1)), arrays[1], journal=tmp_path)


def test_a_full_disk_under_the_blocks_is_told_with_folder_and_setting(client, no_large_files, scratch):
    X = da.random.default_rng(0).normal(size=(400, 500), chunks=(200, 500))
    with pytest.raises(OSError, match=rf"cannot write to {scratch}.* by temporary-directory"):
        make_search(test_size=0.2).fit(X, (X[:, 0] > 0).astype(int))


def test_a_full_disk_under_the_journal_in_the_driver_loses_nothing(client, tmp_path, arrays):
    X, y = da.from_array(arrays[0], (20, -1)), da.from_array(arrays[1], 20)
    undisturbed = make_search().fit(X, y)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, before[1]))  # of this process; the workers are others
    try:
        with pytest.raises(OSError, match=rf"cannot write to {tmp_path}. Make room there, .* by journal= of fit"):
            make_search().fit(X, y, journal=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    same_answer(make_search().fit(X, y, journal=tmp_path), undisturbed)
