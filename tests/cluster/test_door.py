"""What can be wrong with a client or with data that only a look at it shows."""

from __future__ import annotations

import dask.array as da
import dask.dataframe as dd
import distributed
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import SGDClassifier

from dhpo import RandomizedSearchCV, SearchFailed

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
    with pytest.raises(ValueError, match=r"same rows, block by block: block 0 of X has 10 rows and of y 9"):
        make_search().fit(frame, y[y != 3])


def test_a_test_size_that_holds_out_nothing_is_refused(client):
    with pytest.raises(ValueError, match=r"test_size=1e-09 holds out no row of n_samples=20"):
        make_search(test_size=1e-9).fit(da.ones((20, 2), chunks=(10, 2)), da.from_array(np.arange(20) % 2, 10))


def test_a_block_that_cannot_be_computed_ends_the_search_from_its_own_error(client):
    def broken(block):
        raise OSError("the disk is gone")

    X = da.ones((20, 2), chunks=(10, 2)).map_blocks(broken, meta=np.empty((0, 0)))
    with pytest.raises(SearchFailed, match=r"block 0 could not be read: OSError: the disk is gone") as seen:
        make_search().fit(X, da.ones(20, chunks=10), classes=[0, 1])
    assert isinstance(seen.value.__cause__, OSError)
