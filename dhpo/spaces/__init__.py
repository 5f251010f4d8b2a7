"""What to try: ready-made spaces of parameters, for estimators and for pipelines of them."""

from __future__ import annotations

from typing import Any

from dhpo.space.log_integers import lograndint
from dhpo.spaces.catalogue import SOURCES, SPACES
from dhpo.wording import did_you_mean

__all__ = ["lograndint", "names", "of", "source"]


class _ReadySpace(dict[str, Any]):
    """A dict that shows itself as the code that makes it."""

    def __repr__(self) -> str:
        inside = "".join(f"    {name!r}: {_code(value)},\n" for name, value in self.items())
        return f"{{\n{inside}}}"


def _code(value: Any) -> str:
    law = getattr(value, "dist", None)
    if law is None:
        return repr(value)
    given = [*map(repr, value.args), *(f"{name}={part!r}" for name, part in value.kwds.items())]
    return f"{ {'reciprocal': 'loguniform'}.get(law.name, law.name) }({', '.join(given)})"


def names() -> list[str]:
    """The classes of estimators that there is a space for.

    Returns
    -------
    list of str
        Sorted.

    Examples
    --------
    >>> import dhpo.spaces
    >>> "SGDClassifier" in dhpo.spaces.names()
    True
    """
    return sorted(SPACES)


def source(name: str) -> str:
    """Where the ranges of a space come from.

    Parameters
    ----------
    name : str
        One of `names`.

    Raises
    ------
    ValueError
        If there is no space of that name.

    Examples
    --------
    >>> import dhpo.spaces
    >>> dhpo.spaces.source("SGDClassifier")
    'auto-sklearn 0.15 (https://github.com/automl/auto-sklearn)'
    """
    _, keys = _known(name)
    return " and ".join(SOURCES[key] for key in keys)


def of(estimator: Any) -> dict[str, Any]:
    """A space to begin with, as a dict of your own: change what you know better.

    What is trained further is not in it: numbers of calls, of trees and of boosting rounds.

    Parameters
    ----------
    estimator : str or estimator
        The name of a class, or an estimator. Of one that consists of others, such as a pipeline, it is the spaces of
        its parts, by the names that `set_params` takes; parts that there is no space for keep their parameters.

    Returns
    -------
    dict
        From names of parameters to lists of values and distributions of `scipy.stats`; it shows itself as code.

    Raises
    ------
    ValueError
        If there is no space for the estimator, nor for any part of it.

    Examples
    --------
    >>> import dhpo.spaces
    >>> from sklearn.linear_model import Perceptron
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> space = dhpo.spaces.of(make_pipeline(StandardScaler(), Perceptron()))
    >>> space
    {
        'perceptron__penalty': ['l1', 'l2', 'elasticnet'],
        'perceptron__alpha': loguniform(1e-07, 0.1),
        'perceptron__eta0': loguniform(0.01, 1),
    }
    >>> space["perceptron__penalty"] = ["l2"]
    """
    if isinstance(estimator, str):
        return _ready(estimator, "")
    if isinstance(estimator, type):
        return _ready(estimator.__name__, "")
    name = type(estimator).__name__
    if name in SPACES:
        return _ready(name, "")
    parts = estimator.get_params(deep=True) if hasattr(estimator, "get_params") else {}
    found = _ReadySpace()
    for part, value in parts.items():
        if not isinstance(value, type) and type(value).__name__ in SPACES:
            found.update(_ready(type(value).__name__, f"{part}__"))
    if not found:
        _known(name)
    return found


def _ready(name: str, prefix: str) -> dict[str, Any]:
    space, _ = _known(name)
    return _ReadySpace({prefix + parameter: list(v) if isinstance(v, list) else v for parameter, v in space.items()})


def _known(name: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    if name not in SPACES:
        hint = did_you_mean(name, SPACES)
        raise ValueError(f"there is no space for {name!r}: dhpo.spaces.names() lists those that there are.{hint}")
    return SPACES[name]
