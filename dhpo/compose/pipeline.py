"""A pipeline that learns block by block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sklearn
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.metadata_routing import UNUSED, MetadataRouter
from sklearn.utils.metaestimators import available_if

from dhpo.compose.parts import NO_METADATA, Metadata, Part, TrainedByParts, add_partial_fit_routes, routed
from dhpo.compose.rules import ParameterPlace
from dhpo.compose.signature import AsLastStep, last_transforms, passes

__all__ = ["PartialFitPipeline", "make_partial_fit_pipeline"]


class PartialFitPipeline(TrainedByParts, Pipeline):
    """A scikit-learn Pipeline that can also be trained block by block, with `partial_fit`.

    Everything but `partial_fit`, `partial_fit_transform` and `check_steps` is scikit-learn's `Pipeline`. In particular
    `fit` trains on all the data at once, and any transformer will do for it.

    Each block goes through the steps in their order. A step learns from the block as it comes from the step before,
    with all that it has learned by now, and then transforms it for the next:

    - a step with `partial_fit` learns from every block;
    - a step that has none may be there if `fit` finds the same in every block. It is fitted on the first block, and
      only transforms the others. These are the transformers with the tag `requires_fit=False` (`FeatureHasher`,
      `FunctionTransformer`, `Normalizer`, ...), `PolynomialFeatures`, `OneHotEncoder` and `OrdinalEncoder` with
      `categories` given, `SimpleImputer(strategy="constant", keep_empty_features=True)`, `RBFSampler` and the random
      projections with numbers for `gamma` and `n_components`, and more; `dhpo.compose.rules.DETERMINED` has them all;
    - `sklearn.frozen.FrozenEstimator(fitted)` is used as it is: for a step that was fitted beforehand, on a sample;
    - every other step is refused by `check_steps`, and by the first `partial_fit`.

    A transformer of your own takes part if it has `partial_fit`, or the tag `requires_fit=False`. It should have as
    many columns for each block, and not more the more it learns.

    Parameters
    ----------
    steps : list of (str, estimator)
        Names and estimators; each may be "passthrough" or None.
    transform_input : None
        For `fit`; nothing else than None is allowed in `partial_fit`.
    memory : None
        For `fit`; nothing else than None is allowed in `partial_fit`.
    verbose : bool, default False
        Whether `fit` prints how long each step took. `partial_fit` prints nothing.

    Attributes
    ----------
    named_steps : Bunch
        The steps by name.
    classes_ : ndarray of shape (n_classes,)
        Of the last step.
    n_features_in_ : int
        Of the first step.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Of the first step.

    Notes
    -----
    The scalers of scikit-learn take missing values, but one that finds nothing else in a column of its first block has
    NaN for that column ever after. Impute before, where a block may lack a column.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import SGDClassifier
    >>> from sklearn.preprocessing import StandardScaler
    >>> from dhpo.compose import PartialFitPipeline
    >>> pipeline = PartialFitPipeline([("scale", StandardScaler()), ("clf", SGDClassifier(random_state=0))])
    >>> rng = np.random.default_rng(0)
    >>> for _ in range(10):
    ...     X = rng.normal(5, 100, size=(50, 2))
    ...     _ = pipeline.partial_fit(X, X[:, 0] > 5, classes=[False, True])
    >>> pipeline.score(X, X[:, 0] > 5) > 0.9
    True
    """

    # By `partial_fit` they are routed to the steps, or given to the last; they are not requested of the pipeline.
    __metadata_request__partial_fit = {"classes": UNUSED, "sample_weight": UNUSED}

    # The steps that are not passthrough, as they were checked when they saw their first block.
    _known_parts: list[Part] | None = None

    def check_steps(self) -> None:
        """Raise if `partial_fit` cannot be, for reasons that are known without data.

        Raises
        ------
        TypeError
            If a step cannot be trained block by block whatever its parameters; the message names the step, what it is
            and what to use instead.
        ValueError
            If it cannot with these parameters, or if names, `memory` or `transform_input` are not allowed.
        """
        self._checked_parts(ParameterPlace("steps"), transforms=False)

    @AsLastStep
    def partial_fit(
        self, X: Any, y: Any = None, classes: Any = None, sample_weight: Any = None, **params: Any
    ) -> PartialFitPipeline:
        """Train all steps on a block.

        Parameters
        ----------
        X : array-like, sparse matrix or dataframe of shape (n_samples, n_features), or list of str
            What the first step takes.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default None
            Given to every step.
        classes : array-like of shape (n_classes,), default None
            All classes there are, for the last step; needed in the first call if that is a classifier. Not in the
            signature of a pipeline whose last step does not take it.
        sample_weight : array-like of shape (n_samples,), default None
            For the last step alone, as in `Pipeline.score`; `<step>__sample_weight` is for another one. With metadata
            routing enabled, for the steps that have requested it with `set_partial_fit_request`.
        **params
            `<step>__<name>` is the argument `name` of the `partial_fit` of a step, or of its `fit` if it has none.
            With metadata routing enabled, what steps have requested.

        Returns
        -------
        PartialFitPipeline
            Itself. Steps that stand before one that raises an error have learned from the block.

        Raises
        ------
        TypeError, ValueError
            As in `check_steps`; or if an argument is for no step.
        """
        self._learn(X, y, {"classes": classes, "sample_weight": sample_weight}, params, transform=False)
        return self

    @available_if(last_transforms)
    def partial_fit_transform(
        self, X: Any, y: Any = None, classes: Any = None, sample_weight: Any = None, **params: Any
    ) -> Any:
        """Train all steps on a block, and return it transformed.

        As `partial_fit` and `transform`, but each step transforms the block once.

        Parameters
        ----------
        X, y, classes, sample_weight, **params
            As for `partial_fit`.

        Returns
        -------
        array, sparse matrix or dataframe of shape (n_samples, n_transformed_features)
        """
        return self._learn(X, y, {"classes": classes, "sample_weight": sample_weight}, params, transform=True)

    def set_params(self, **kwargs: Any) -> PartialFitPipeline:
        """Set parameters of the pipeline or, as `<step>__<name>`, of its steps; `<step>` replaces a whole step.

        Parameters
        ----------
        **kwargs
            Parameters by name.

        Returns
        -------
        PartialFitPipeline
            Itself.
        """
        self._known_parts = None
        super().set_params(**kwargs)
        return self

    def get_metadata_routing(self) -> MetadataRouter:
        """Return what scikit-learn's metadata routing passes on to which step.

        Returns
        -------
        MetadataRouter
        """
        router = super().get_metadata_routing()
        add_partial_fit_routes(router, self.steps, last=self.steps[-1][0])
        return router

    def _learn(self, X: Any, y: Any, for_last: Mapping[str, Any], params: Mapping[str, Any], *, transform: bool) -> Any:
        parts = self._parts()
        metadata = self._metadata({name: value for name, value in for_last.items() if value is not None}, params)
        for part in parts if transform else parts[:-1]:
            X = part.learn_and_transform(X, y, metadata.get(part.name, NO_METADATA))
        if parts and not transform:
            parts[-1].learn(X, y, metadata.get(parts[-1].name, NO_METADATA))
        if self._known_parts is None:
            self._known_parts = [part.after_a_block() for part in parts]
        return X

    def _parts(self) -> list[Part]:
        known = self._known_parts
        if known is not None:
            steps = [step for step in self.steps if not passes(step[1])]
            if len(steps) == len(known) and all(map(_is, steps, known)):
                return known
            self._known_parts = None
        return self._checked_parts(ParameterPlace("steps"), transforms=False)

    def _check_parts(self, place: ParameterPlace, *, transforms: bool) -> None:
        self._checked_parts(place, transforms=transforms)

    def _checked_parts(self, place: ParameterPlace, *, transforms: bool) -> list[Part]:
        self._check_parameters(place)
        last = len(self.steps) - 1
        return [
            Part.checked(name, step, place, transforms=transforms or position < last)
            for position, (name, step) in enumerate(self.steps)
            if not passes(step)
        ]

    def _check_parameters(self, place: ParameterPlace) -> None:
        if not isinstance(self.steps, list | tuple) or not self.steps or any(not _is_pair(s) for s in self.steps):
            raise ValueError(f"{place}: {self.steps!r} is not allowed; give a list of (name, estimator).")
        names = [name for name, _ in self.steps]
        own = self.get_params(deep=False)
        wrong = [n for n in names if not isinstance(n, str) or "__" in n or n in own or names.count(n) > 1]
        if wrong:
            raise ValueError(
                f"{place}: {wrong[0]!r} is not allowed as the name of a step: names are strings, each is there once, "
                f"and they are without '__' and none of {', '.join(own)}."
            )
        for name, reason in (
            ("memory", "transformers change with every block, so there is nothing to keep"),
            ("transform_input", "partial_fit transforms X alone"),
        ):
            if getattr(self, name) is not None:
                raise ValueError(f"{name}={getattr(self, name)!r} is not allowed in partial_fit, only None: {reason}.")

    def _metadata(self, for_last: dict[str, Any], params: Mapping[str, Any]) -> dict[str, Metadata]:
        if not for_last and not params:
            return {}
        last = self.steps[-1][0]
        if sklearn.get_config()["enable_metadata_routing"]:
            # Which classes there are is no metadata of rows: scikit-learn's own meta-estimators pass it on unasked.
            classes = {"classes": for_last.pop("classes")} if "classes" in for_last else {}
            metadata = routed(self, {**for_last, **params})
            of_last = metadata.get(last, NO_METADATA)
            return {**metadata, last: of_last._replace(learning={**of_last.learning, **classes})}
        arguments: dict[str, dict[str, Any]] = {name: {} for name, step in self.steps if not passes(step)}
        for argument, value in [*((f"{last}__{name}", value) for name, value in for_last.items()), *params.items()]:
            step, _, name = argument.partition("__")
            if step not in arguments or not name:
                raise ValueError(
                    f"partial_fit: {argument} is not allowed: there is no such argument of a step. Give arguments as "
                    f"<step>__<argument>; steps are {', '.join(arguments)}."
                )
            arguments[step][name] = value
        return {name: Metadata(of_step, {}) for name, of_step in arguments.items()}


def _is_pair(step: Any) -> bool:
    return isinstance(step, list | tuple) and len(step) == 2


def _is(step: tuple[str, Any], part: Part) -> bool:
    return part.estimator is step[1] and part.name == step[0]


def make_partial_fit_pipeline(*steps: Any, verbose: bool = False) -> PartialFitPipeline:
    """Make a PartialFitPipeline of estimators, which are named by their types as in `sklearn.pipeline.make_pipeline`.

    Parameters
    ----------
    *steps : estimator
        In their order; "passthrough" and None are allowed.
    verbose : bool, default False
        Whether `fit` prints how long each step took.

    Returns
    -------
    PartialFitPipeline

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import SGDClassifier
    >>> from sklearn.preprocessing import StandardScaler
    >>> from dhpo import make_partial_fit_pipeline
    >>> pipeline = make_partial_fit_pipeline(StandardScaler(), SGDClassifier(random_state=0))
    >>> list(pipeline.named_steps)
    ['standardscaler', 'sgdclassifier']
    >>> X = np.array([[1.0], [2.0], [30.0], [40.0]])
    >>> pipeline.partial_fit(X, [0, 0, 1, 1], classes=[0, 1]).predict(X)
    array([0, 0, 1, 1])
    """
    return PartialFitPipeline(make_pipeline(*steps).steps, verbose=verbose)
