"""Tune a pipeline on a dataframe with numbers, strings and missing values, block by block.

    python examples/titanic.py titanic.csv

takes the passengers of the Titanic as Kaggle has them (train.csv of https://www.kaggle.com/c/titanic).
"""

from __future__ import annotations

import argparse

import dask.dataframe as dd
from dask.utils import parse_bytes
from scipy.stats import loguniform
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import SGDClassifier
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import clusters
from dhpo import HyperbandSearchCV, PartialFitColumnTransformer, PartialFitPipeline

NUMBERS = ["Age", "Fare", "SibSp", "Parch"]
CATEGORIES = {"Sex": ["female", "male"], "Embarked": ["C", "Q", "S"], "Pclass": [1, 2, 3]}


def make_pipeline() -> PartialFitPipeline:
    numbers = PartialFitPipeline(
        [
            ("impute", SimpleImputer(strategy="constant", fill_value=0.0, keep_empty_features=True)),
            ("scale", StandardScaler()),
        ]
    )
    # The categories are given: a block may lack some of them.
    encoder = OneHotEncoder(categories=list(CATEGORIES.values()), handle_unknown="ignore", sparse_output=False)
    columns = PartialFitColumnTransformer(
        [
            ("numbers", numbers, NUMBERS),
            ("missing", MissingIndicator(features="all"), ["Age"]),
            ("categories", encoder, list(CATEGORIES)),
        ]
    )
    return PartialFitPipeline([("columns", columns), ("classifier", SGDClassifier(loss="log_loss"))])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", help="the CSV file")
    parser.add_argument("--blocksize", type=parse_bytes, default="8kB", help="bytes of a block")
    parser.add_argument("--max-iter", type=int, default=27, help="partial_fit calls of a trial at most")
    arguments = parser.parse_args()
    frame = dd.read_csv(arguments.path, blocksize=arguments.blocksize)
    search = HyperbandSearchCV(
        make_pipeline(),
        {
            "classifier__alpha": loguniform(1e-5, 1),
            "classifier__penalty": ["l1", "l2", "elasticnet"],
            "columns__numbers__impute__fill_value": [-1.0, 0.0, 30.0],
        },
        max_iter=arguments.max_iter,
        cv=5,
        scoring=["accuracy", "roc_auc"],
        refit="roc_auc",
        random_state=0,
    )
    with clusters.local(workers=2) as cluster, cluster.get_client():
        search.fit(frame[[*NUMBERS, *CATEGORIES]], frame["Survived"], classes=[0, 1])
    print(search.best_params_)
    print(f"blocks: {frame.npartitions}, roc_auc: {search.best_score_:.3f}")
    accuracy = search.cv_results_["mean_test_accuracy"][search.best_index_]
    print(f"accuracy over {search.n_splits_} folds: {accuracy:.3f}")


if __name__ == "__main__":
    main()
