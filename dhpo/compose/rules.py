"""What decides whether an estimator can be trained block by block: the table of scikit-learn's, and the rule for all.

`fit` of a transformer may be called on the first block alone if every other block would have had the same outcome. Of
scikit-learn's own transformers that is known class by class, for it depends on their parameters: `DETERMINED`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Any, NamedTuple

from sklearn.cluster import Birch
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.feature_selection import SelectFromModel
from sklearn.frozen import FrozenEstimator
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.kernel_approximation import PolynomialCountSketch, RBFSampler, SkewedChi2Sampler
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, PolynomialFeatures, SplineTransformer
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

__all__ = ["DETERMINED", "Learning", "ParameterPlace", "is_fitted", "learning_of"]


class Learning(Enum):
    """How an estimator is trained on blocks."""

    BY_BLOCK = auto()  # its partial_fit sees every block
    ONCE = auto()  # its fit sees the first block, and would find the same in any other
    DONE = auto()  # there is nothing left to learn


class ParameterPlace(NamedTuple):
    """Where an estimator stands: the parameter that it came in, and its name there, as `set_params` knows it."""

    parameter: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.parameter}: {self.name!r}" if self.name else self.parameter

    def within(self, name: str) -> ParameterPlace:
        """The place of a part of the estimator that stands here."""
        return ParameterPlace(self.parameter, f"{self.name}__{name}" if self.name else name)


class _Condition(NamedTuple):
    holds: Callable[[Any], bool]
    wanted: str


def is_fitted(estimator: Any) -> bool:
    """Whether `fit` or `partial_fit` was called; True for an estimator that needs neither."""
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return False
    return True


def _always(estimator: Any) -> bool:
    return True


def _has_given_categories(encoder: Any) -> bool:
    return not isinstance(encoder.categories, str) and encoder.min_frequency is None and encoder.max_categories is None


_CATEGORIES = _Condition(
    _has_given_categories, "categories=[...] of every column, and min_frequency and max_categories None"
)
_COMPONENTS = _Condition(
    lambda projection: not isinstance(projection.n_components, str),
    "a number for n_components, which 'auto' takes from the number of rows",
)
_ALWAYS = _Condition(_always, "")

# What fit finds here follows from the parameters, the random state, and the columns and their dtypes alone. Subclasses
# are not meant: they may override fit.
DETERMINED: dict[type, _Condition] = {
    CountVectorizer: _Condition(lambda v: v.vocabulary is not None, "a vocabulary"),
    FrozenEstimator: _Condition(is_fitted, "an estimator that is fitted"),
    GaussianRandomProjection: _COMPONENTS,
    MissingIndicator: _Condition(lambda m: m.features == "all", "features='all'"),
    OneHotEncoder: _CATEGORIES,
    OrdinalEncoder: _CATEGORIES,
    PolynomialCountSketch: _ALWAYS,
    PolynomialFeatures: _ALWAYS,
    RBFSampler: _Condition(lambda s: not isinstance(s.gamma, str), "a number for gamma"),
    SelectFromModel: _Condition(
        lambda s: isinstance(s.estimator, FrozenEstimator) and is_fitted(s.estimator),
        "estimator=sklearn.frozen.FrozenEstimator(fitted), for otherwise it selects other columns after each block",
    ),
    SimpleImputer: _Condition(
        lambda i: i.strategy == "constant" and i.keep_empty_features and not i.add_indicator,
        "strategy='constant', keep_empty_features=True (else a column that is empty in the first block is dropped) "
        "and add_indicator=False (MissingIndicator(features='all') has the same columns for every block)",
    ),
    SkewedChi2Sampler: _ALWAYS,
    SparseRandomProjection: _COMPONENTS,
    SplineTransformer: _Condition(lambda s: not isinstance(s.knots, str), "an array of knots"),
    TfidfTransformer: _Condition(lambda t: not t.use_idf, "use_idf=False"),
    TfidfVectorizer: _Condition(
        lambda v: v.vocabulary is not None and not v.use_idf,
        "a vocabulary and use_idf=False (or take HashingVectorizer)",
    ),
}

# The more subclusters they have found, the more columns they give.
_CHANGES_COLUMNS = (Birch,)

_PARTIAL_FIT_COLUMNS = "PartialFitColumnTransformer"
_INSTEAD = {
    "ColumnTransformer": _PARTIAL_FIT_COLUMNS,
    "DictVectorizer": "FeatureHasher",
    "DictionaryLearning": "MiniBatchDictionaryLearning",
    "FactorAnalysis": "IncrementalPCA",
    "FastICA": "IncrementalPCA",
    "FeatureUnion": f"{_PARTIAL_FIT_COLUMNS}, which may give all columns to several transformers,",
    "IterativeImputer": "SimpleImputer(strategy='constant', keep_empty_features=True)",
    "KMeans": "MiniBatchKMeans",
    "KNNImputer": "SimpleImputer(strategy='constant', keep_empty_features=True)",
    "KernelPCA": "RBFSampler",
    "LabelBinarizer": "OneHotEncoder(categories=[...])",
    "LabelEncoder": "OrdinalEncoder(categories=[...])",
    "Lasso": "SGDRegressor(penalty='l1')",
    "LinearRegression": "SGDRegressor",
    "LinearSVC": "SGDClassifier",
    "LogisticRegression": "SGDClassifier(loss='log_loss')",
    "MiniBatchSparsePCA": "MiniBatchDictionaryLearning",
    "NMF": "MiniBatchNMF",
    "Nystroem": "RBFSampler",
    "PCA": "IncrementalPCA",
    "Pipeline": "PartialFitPipeline",
    "PowerTransformer": "StandardScaler",
    "QuantileTransformer": "StandardScaler or MinMaxScaler",
    "Ridge": "SGDRegressor",
    "RidgeClassifier": "SGDClassifier",
    "RobustScaler": "StandardScaler",
    "SVC": "SGDClassifier, with RBFSampler before it for a kernel,",
    "SVR": "SGDRegressor, with RBFSampler before it for a kernel,",
    "SparsePCA": "MiniBatchDictionaryLearning",
    "TargetEncoder": "OneHotEncoder(categories=[...])",
    "TruncatedSVD": "SparseRandomProjection(n_components=...), or IncrementalPCA for dense data,",
}
_FROZEN = "fit it beforehand, on a sample, and give sklearn.frozen.FrozenEstimator(fitted)"


def learning_of(estimator: Any, place: ParameterPlace, *, transforms: bool) -> Learning:
    """Tell how an estimator is trained on blocks.

    Parameters
    ----------
    estimator : estimator
        No 'passthrough' or 'drop', and none that knows its own parts.
    place : ParameterPlace
        To be named in errors.
    transforms : bool
        Whether something after it takes the columns that it makes.

    Raises
    ------
    TypeError
        If it cannot be, whatever its parameters.
    ValueError
        If it cannot be with these parameters.
    """
    if isinstance(estimator, type):
        raise TypeError(f"{place} is the class {estimator.__name__}; give an instance, {estimator.__name__}(...).")
    if not hasattr(estimator, "fit") and not hasattr(estimator, "partial_fit"):
        raise TypeError(f"{place} is {_shown(estimator)}, which is no estimator: it has neither fit nor partial_fit.")
    if transforms and not hasattr(estimator, "transform"):
        raise TypeError(f"{place} is {_shown(estimator)}, which has no transform; only a last step may do without.")
    condition = DETERMINED.get(type(estimator))
    if condition is not None:
        if condition.holds(estimator):
            return Learning.ONCE
        alternative = "" if isinstance(estimator, FrozenEstimator) else f" Or {_FROZEN}."
        raise ValueError(
            f"{place} is {_shown(estimator)}, which learns from all the rows in fit and cannot be trained block by "
            f"block. It can be used with {condition.wanted}.{alternative}"
        )
    if transforms and isinstance(estimator, _CHANGES_COLUMNS):
        raise TypeError(
            f"{place} is {_shown(estimator)}, which gives other columns after each block; only as a last step can it "
            "be trained block by block. Use MiniBatchKMeans instead."
        )
    if hasattr(estimator, "partial_fit"):
        return Learning.BY_BLOCK
    # A predictor without need of fit, such as GaussianProcessRegressor, predicts from its prior until it has learned.
    if hasattr(estimator, "transform") and not get_tags(estimator).requires_fit:
        return Learning.ONCE
    raise TypeError(
        f"{place} is {_shown(estimator)}, which has no partial_fit and learns from all the rows in fit, so it cannot "
        f"be trained block by block.{_advice(estimator)}"
    )


def _advice(estimator: Any) -> str:
    remedies = []
    classes = [cls for cls in type(estimator).__mro__ if cls.__module__.startswith("sklearn.")]
    known = [_INSTEAD[cls.__name__] for cls in classes if cls.__name__ in _INSTEAD]
    if known:
        remedies.append(f"use {known[0]} instead")
    if hasattr(estimator, "transform"):
        remedies.append(_FROZEN)
    advice = f" {', or '.join(remedies)}." if remedies else ""
    if type(estimator) not in classes:
        advice += (
            " An estimator of your own needs a method partial_fit or, if it transforms and its fit finds nothing in "
            "the rows, scikit-learn's tag requires_fit=False."
        )
    return advice[:1] + advice[1:2].upper() + advice[2:]


def _shown(estimator: Any) -> str:
    return " ".join(repr(estimator).split())
