"""The method `partial_fit` of a pipeline, which is as that of the last step."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import MethodType
from typing import Any

from dhpo.compose.parts import Part
from dhpo.compose.rules import Learning, ParameterPlace

__all__ = ["AsLastStep", "last_transforms", "passes"]


def passes(step: Any) -> bool:
    """Whether a step is none: None or "passthrough"."""
    return step is None or (isinstance(step, str) and step == "passthrough")


def _last_part(pipeline: Any) -> Part | None:
    """The last step, None for passthrough; raises AttributeError where there is no `partial_fit` to be had."""
    try:
        name, last = pipeline.steps[-1]
    except (IndexError, TypeError, ValueError):
        raise AttributeError(f"{type(pipeline).__name__} has no partial_fit, because it has no last step") from None
    if passes(last):
        return None
    known: list[Part] | None = pipeline._known_parts
    if known and known[-1].estimator is last:
        return known[-1]
    try:
        return Part.checked(name, last, ParameterPlace("steps"), transforms=False)
    except (TypeError, ValueError) as error:
        raise AttributeError(f"{type(pipeline).__name__} has no partial_fit: {error}") from error


def last_transforms(pipeline: Any) -> bool:
    """Whether the last step transforms; raises AttributeError where there is no `partial_fit` to be had."""
    last = _last_part(pipeline)
    return last is None or hasattr(last.estimator, "transform")


def _classes_argument(method: Callable[..., Any]) -> inspect.Parameter | None:
    function = getattr(method, "__func__", None)
    return _classes_of(method) if function is None else _classes_of_function(function)


def _classes_of(function: Callable[..., Any]) -> inspect.Parameter | None:
    try:
        return inspect.signature(function).parameters.get("classes")
    except (TypeError, ValueError):  # compiled, and without a signature
        return None


# It is asked for in every call. Of functions alone, for what is bound would keep a model in memory.
_classes_of_function = functools.lru_cache(maxsize=256)(_classes_of)


class AsLastStep:
    """The method `partial_fit`: there if the last step can learn, and with an argument `classes` if the last step has.

    Searches and other meta-estimators see by the signature whether to name the classes, and whether in every call.
    """

    def __init__(self, method: Callable[..., Any]) -> None:
        self._method = method
        signature = inspect.signature(method)
        owner, X, y, classes, sample_weight, params = signature.parameters.values()
        sample_weight = sample_weight.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        classes = classes.replace(kind=inspect.Parameter.KEYWORD_ONLY, default=inspect.Parameter.empty)
        self._without = _signed(method, signature.replace(parameters=[owner, X, y, sample_weight, params]))
        self._with_required = _signed(
            method, signature.replace(parameters=[owner, X, y, classes, sample_weight, params])
        )

    def __get__(self, pipeline: Any, owner: Any = None) -> Callable[..., Any]:
        return self._method if pipeline is None else MethodType(self._method_for(_last_part(pipeline)), pipeline)

    def _method_for(self, last: Part | None) -> Callable[..., Any]:
        if last is None or last.learning is not Learning.BY_BLOCK:
            return self._without
        classes = _classes_argument(last.estimator.partial_fit)
        if classes is None:
            return self._without
        return self._with_required if classes.default is inspect.Parameter.empty else self._method


def _signed(method: Callable[..., Any], signature: inspect.Signature) -> Callable[..., Any]:
    @functools.wraps(method)
    def signed(self: Any, X: Any, y: Any = None, **kwargs: Any) -> Any:
        return method(self, X, y, **kwargs)

    signed.__signature__ = signature  # type: ignore[attr-defined]
    return signed
