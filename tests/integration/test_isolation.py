"""What one trial does to its rows is nothing to the others."""

from __future__ import annotations

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import SGDClassifier
from sklearn.preprocessing import StandardScaler

from dhpo import GridSearchCV, PartialFitPipeline

RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 4))
Y = (X[:, 0] > 0).astype(int)

CONTAINERS = {
    "array": lambda: da.from_array(X, chunks=(50, 4)),
    "frame": lambda: dd.from_pandas(pd.DataFrame(X, columns=list("abcd")), npartitions=8),
    "sparse": lambda: da.from_array(X, chunks=(50, 4)).map_blocks(sp.csr_matrix),
}


class Negates(ClassifierMixin, BaseEstimator):
    """An SGDClassifier that turns its rows around after it has seen them, if it is asked to."""

    def __init__(self, negate=None):
        self.negate = negate

    def partial_fit(self, X, y, classes=None):
        if not hasattr(self, "model_"):
            self.model_, self.classes_ = SGDClassifier(random_state=0), classes
        self.model_.partial_fit(X, y, classes=classes)
        self._turn("fit", X)
        return self

    def predict(self, X):
        predicted = self.model_.predict(X)
        self._turn("predict", X)
        return predicted

    def _turn(self, when, X):
        if self.negate == when and hasattr(X, "columns"):
            X[list(X.columns)] = -X
        elif self.negate == when:
            X *= -1


@pytest.mark.parametrize("kind", CONTAINERS)
def test_a_candidate_scores_beside_writers_what_it_scores_alone(client, kind):
    def scores(values):
        search = GridSearchCV(Negates(), {"negate": values}, max_iter=16, random_state=0, verbose=0)
        search.fit(CONTAINERS[kind](), Y)
        assert not any(record["error"] for record in search.history_)
        return search.cv_results_["mean_test_score"].tolist()

    alone = scores([None])
    assert scores(["fit", None, "predict"]) == alone * 3
    assert scores(["fit"]) == alone


def test_a_pipeline_that_scales_in_place_has_the_scores_of_one_that_copies(client):
    def results(copy):
        pipeline = PartialFitPipeline([("scale", StandardScaler(copy=copy)), ("model", SGDClassifier(random_state=0))])
        grid = {"model__alpha": [1e-4, 1e-2, 1.0]}
        search = GridSearchCV(pipeline, grid, max_iter=16, random_state=0, verbose=0)
        search.fit(CONTAINERS["array"](), Y)
        return search.cv_results_["mean_test_score"].tolist(), search.best_params_

    assert results(copy=False) == results(copy=True)
