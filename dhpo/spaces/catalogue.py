"""The ready-made spaces of single estimators, and where their ranges come from."""

from __future__ import annotations

from typing import Any

from scipy.stats import loguniform, randint, uniform

from dhpo.space.log_integers import lograndint

__all__ = ["SOURCES", "SPACES"]

SOURCES = {
    "auto-sklearn": "auto-sklearn 0.15 (https://github.com/automl/auto-sklearn)",
    "TPOT": "TPOT 1.1 (https://github.com/EpistasisLab/tpot)",
    "hyperopt-sklearn": "hyperopt-sklearn 1.1 (https://github.com/hyperopt/hyperopt-sklearn)",
    "mlr3": "mlr3tuningspaces (https://github.com/mlr-org/mlr3tuningspaces), default; Bischl et al., 2023",
    "rbv2": "mlr3tuningspaces, rbv2; Binder, Pfisterer and Bischl, 2020",
}


def _between(low: float, high: float) -> Any:
    return uniform(low, high - low)


def _integers(low: int, high: int) -> Any:
    return randint(low, high + 1)


_TREES = {
    "max_features": _between(0.05, 1),
    "min_samples_leaf": _integers(1, 20),
    "min_samples_split": _integers(2, 20),
}
_LINEAR_SGD = {
    "penalty": ["l1", "l2", "elasticnet"],
    "alpha": loguniform(1e-7, 1e-1),
    "l1_ratio": loguniform(1e-9, 1),
    "eta0": loguniform(1e-7, 1e-1),
    "average": [False, True],
}
_NEURAL = {
    "hidden_layer_sizes": [(width,) * depth for depth in (1, 2, 3) for width in (16, 32, 64, 128, 264)],
    "activation": ["tanh", "relu"],
    "alpha": loguniform(1e-7, 1e-1),
    "learning_rate_init": loguniform(1e-4, 0.5),
}
_BAYES = {"alpha": loguniform(1e-2, 100), "fit_prior": [True, False]}

# By the name of the class: the space, and the keys of its sources. What is trained further is no parameter of a space:
# numbers of calls, of trees and of boosting rounds.
SPACES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "SGDClassifier": (
        {
            "loss": ["hinge", "log_loss", "modified_huber", "squared_hinge", "perceptron"],
            "learning_rate": ["optimal", "invscaling", "constant"],
            "power_t": _between(1e-5, 1),
            **_LINEAR_SGD,
        },
        ("auto-sklearn",),
    ),
    "SGDRegressor": (
        {"loss": ["squared_error", "huber", "epsilon_insensitive"], **_LINEAR_SGD},
        ("auto-sklearn",),
    ),
    "MLPClassifier": (_NEURAL, ("auto-sklearn",)),
    "MLPRegressor": (_NEURAL, ("auto-sklearn",)),
    "Perceptron": (
        {"penalty": ["l1", "l2", "elasticnet"], "alpha": loguniform(1e-7, 1e-1), "eta0": loguniform(1e-2, 1)},
        ("auto-sklearn", "TPOT"),
    ),
    "MultinomialNB": (_BAYES, ("auto-sklearn",)),
    "BernoulliNB": (_BAYES, ("auto-sklearn",)),
    "LogisticRegression": (
        {"C": loguniform(1e-4, 1e4), "class_weight": [None, "balanced"]},
        ("mlr3",),
    ),
    "Ridge": ({"alpha": loguniform(1e-4, 1e4)}, ("mlr3",)),
    "ElasticNet": ({"alpha": loguniform(1e-4, 1e4), "l1_ratio": _between(0, 1)}, ("mlr3",)),
    "LinearSVC": (
        {"C": loguniform(0.03125, 32768), "loss": ["hinge", "squared_hinge"], "tol": loguniform(1e-5, 1e-1)},
        ("auto-sklearn",),
    ),
    "SVC": (
        {
            "C": loguniform(0.03125, 32768),
            "kernel": ["rbf", "poly", "sigmoid"],
            "gamma": loguniform(2**-15, 8),
            "degree": _integers(2, 5),
            "coef0": _between(-1, 1),
            "shrinking": [True, False],
            "tol": loguniform(1e-5, 1e-1),
        },
        ("auto-sklearn",),
    ),
    "KNeighborsClassifier": (
        {"n_neighbors": _integers(1, 100), "weights": ["uniform", "distance"], "p": [1, 2]},
        ("auto-sklearn",),
    ),
    "DecisionTreeClassifier": (
        {
            "criterion": ["gini", "entropy"],
            "ccp_alpha": loguniform(1e-4, 1e-1),
            "min_samples_split": lograndint(2, 129),
            "min_samples_leaf": lograndint(1, 65),
        },
        ("mlr3",),
    ),
    "RandomForestClassifier": (
        {"criterion": ["gini", "entropy"], "bootstrap": [True, False], **_TREES},
        ("auto-sklearn",),
    ),
    "RandomForestRegressor": (_TREES, ("auto-sklearn",)),
    "ExtraTreesClassifier": (
        {"criterion": ["gini", "entropy"], "bootstrap": [True, False], **_TREES},
        ("auto-sklearn",),
    ),
    "ExtraTreesRegressor": (_TREES, ("auto-sklearn",)),
    "GradientBoostingClassifier": (
        {
            "learning_rate": loguniform(1e-3, 1),
            "subsample": _between(0.1, 1),
            "max_features": _between(0.01, 1),
            "max_leaf_nodes": _integers(3, 2047),
            "min_samples_leaf": _integers(1, 200),
            "min_samples_split": _integers(2, 20),
        },
        ("TPOT",),
    ),
    "HistGradientBoostingClassifier": (
        {
            "learning_rate": loguniform(1e-2, 1),
            "max_leaf_nodes": lograndint(3, 2048),
            "min_samples_leaf": lograndint(1, 201),
            "l2_regularization": loguniform(1e-10, 1),
        },
        ("auto-sklearn",),
    ),
    "AdaBoostClassifier": (
        {"n_estimators": _integers(50, 500), "learning_rate": loguniform(0.01, 2)},
        ("auto-sklearn", "TPOT"),
    ),
    "LinearDiscriminantAnalysis": (
        {"solver": ["lsqr", "eigen"], "shrinkage": _between(0, 1), "tol": loguniform(1e-5, 1e-1)},
        ("auto-sklearn",),
    ),
    "QuadraticDiscriminantAnalysis": ({"reg_param": _between(0, 1)}, ("auto-sklearn", "TPOT")),
    "XGBClassifier": (
        {
            "learning_rate": loguniform(1e-4, 1),
            "max_depth": _integers(1, 20),
            "subsample": _between(0.1, 1),
            "colsample_bytree": _between(0.1, 1),
            "colsample_bylevel": _between(0.1, 1),
            "reg_lambda": loguniform(1e-3, 1e3),
            "reg_alpha": loguniform(1e-3, 1e3),
            "min_child_weight": loguniform(1, 100),
        },
        ("mlr3", "rbv2"),
    ),
    "LGBMClassifier": (
        {
            "learning_rate": loguniform(1e-4, 0.5),
            "num_leaves": _integers(2, 256),
            "min_child_samples": lograndint(1, 101),
            "subsample": _between(0.5, 1),
            "subsample_freq": [1],
            "colsample_bytree": _between(0.5, 1),
            "reg_alpha": loguniform(1e-4, 1),
            "reg_lambda": loguniform(1, 4),
        },
        ("hyperopt-sklearn", "TPOT"),
    ),
}
