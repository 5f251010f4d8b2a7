"""Searches over pipelines that learn block by block."""

from __future__ import annotations

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA, IncrementalPCA
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import dhpo
from dhpo import PartialFitColumnTransformer, PartialFitPipeline, make_partial_fit_pipeline
from dhpo.data.holdout import split_rows
from dhpo.data.order import PassOrder
from dhpo.space.seeds import seed_for
from dhpo.worker.model_making import new_model

SEED = {"random_state": 0, "verbose": 0}
RNG = np.random.default_rng(0)
X = RNG.standard_normal((300, 4)) * [1, 100, 0.01, 1] + [0, 1000, 0, 0]
Y = (X[:, 1] > 1000).astype(int)
LAZY = da.from_array(X, (100, 4)), da.from_array(Y, 100)
SCALED = PartialFitPipeline([("scale", StandardScaler()), ("classify", SGDClassifier())])
GRID = {"classify__alpha": [1e-4, 1e-2], "scale": [StandardScaler(), "passthrough"]}


def test_a_pipeline_is_trained_step_by_step_on_every_block(client):
    search = dhpo.GridSearchCV(SCALED, GRID, max_iter=5, **SEED).fit(*LAZY)
    model = new_model(SCALED, search.best_params_, 0, search.best_index_)
    order, split = PassOrder(range(3), seed_for(0, 0, "order")), seed_for(0, 0, "split")
    for call in range(5):
        block = order.block_at(call)
        rows = np.arange(100 * block, 100 * (block + 1))
        rows = rows[split_rows(100, 0.2, split, block, Y[rows])[0]]
        scale, classify = model.named_steps["scale"], model.named_steps["classify"]
        scaled = scale.partial_fit(X[rows]).transform(X[rows])
        classify.partial_fit(scaled, Y[rows], **({} if call else {"classes": [0, 1]}))
    np.testing.assert_array_equal(search.best_estimator_.named_steps["classify"].coef_, classify.coef_)
    assert isinstance(search.best_params_["scale"], StandardScaler)
    assert search.score(*LAZY) > 0.9


def test_hyperband_and_folds_over_a_pipeline(client):
    pipeline = make_partial_fit_pipeline(StandardScaler(), IncrementalPCA(), SGDClassifier())
    space = {"incrementalpca__n_components": [2, 3, 4], "sgdclassifier__alpha": [1e-4, 1e-2]}
    search = dhpo.HyperbandSearchCV(pipeline, space, max_iter=9, cv=2, **SEED).fit(*LAZY)
    assert search.score(X, Y) > 0.8
    assert search.classes_.tolist() == [0, 1]


def test_a_regressor_needs_no_classes(client):
    pipeline = make_partial_fit_pipeline(StandardScaler(), SGDRegressor())
    target = (X[:, 1] - 1000) / 100
    search = dhpo.IncrementalSearchCV(pipeline, {"sgdregressor__alpha": [1e-4, 1e-2]}, 2, max_iter=20, **SEED)
    assert search.fit(LAZY[0], da.from_array(target, 100)).best_score_ > 0.9


def test_text_is_hashed(client):
    words = np.array(["good nice fine", "bad poor sad"] * 150)
    pipeline = make_partial_fit_pipeline(HashingVectorizer(n_features=2**8), SGDClassifier())
    frame = dd.from_pandas(pd.DataFrame({"text": words}), npartitions=3)
    columns = PartialFitColumnTransformer([("text", pipeline[:-1], "text")])
    search = dhpo.GridSearchCV(
        make_partial_fit_pipeline(columns, SGDClassifier()), {"sgdclassifier__alpha": [1e-4]}, max_iter=3, **SEED
    )
    search.fit(frame, dd.from_pandas(pd.Series(np.arange(300) % 2), npartitions=3))
    assert search.best_score_ == 1.0


def test_frames_with_strings_and_missing_values(client):
    n = 600
    frame = pd.DataFrame(
        {
            "sex": RNG.choice(["female", "male"], n),
            "port": RNG.choice(["S", "C", None], n),
            "age": np.where(RNG.random(n) < 0.2, np.nan, RNG.uniform(1, 80, n)),
            "fare": RNG.lognormal(3, 1, n),
        }
    )
    survived = ((frame["sex"] == "female") ^ (RNG.random(n) < 0.1)).astype(int)
    numbers = make_partial_fit_pipeline(
        SimpleImputer(strategy="constant", fill_value=30.0, keep_empty_features=True), StandardScaler()
    )
    kinds = OneHotEncoder(categories=[["female", "male"], ["S", "C"]], handle_unknown="ignore")
    columns = PartialFitColumnTransformer([("numbers", numbers, ["age", "fare"]), ("kinds", kinds, ["sex", "port"])])
    pipeline = PartialFitPipeline([("columns", columns), ("classify", SGDClassifier())])
    space = {"classify__alpha": [1e-4, 1e-2], "columns__numbers__standardscaler__with_mean": [True, False]}
    search = dhpo.HyperbandSearchCV(pipeline, space, max_iter=9, **SEED)
    search.fit(dd.from_pandas(frame, npartitions=6), dd.from_pandas(survived, npartitions=6))
    assert search.score(frame, survived) > 0.85
    assert search.feature_names_in_.tolist() == frame.columns.tolist()


def test_a_step_that_cannot_learn_block_by_block_is_refused_at_the_door():
    pipeline = make_partial_fit_pipeline(StandardScaler(), PCA(2), SGDClassifier())
    with pytest.raises(TypeError, match=r"pca.*IncrementalPCA"):
        dhpo.HyperbandSearchCV(pipeline, {"sgdclassifier__alpha": [1]}).fit(*LAZY)
