"""Whether an object is an estimator that a trainer can use."""

from __future__ import annotations

from typing import Any

__all__ = ["check_methods_of"]


def check_methods_of(estimator: Any, trained_by: str, needs: str) -> None:
    """Raise TypeError where an instance with the methods of an estimator is wanted.

    Parameters
    ----------
    estimator : object
    trained_by : str
        The method that trains it.
    needs : str
        Which estimators are taken, for the message.
    """
    if hasattr(estimator, "check_steps") and not isinstance(estimator, type):
        estimator.check_steps()
    missing = [n for n in (trained_by, "get_params", "set_params") if not callable(getattr(estimator, n, None))]
    if isinstance(estimator, type):
        raise TypeError(f"estimator is the class {estimator.__name__}, and lacks an instance: {needs}.")
    if missing:
        raise TypeError(f"estimator is a {type(estimator).__name__}, and lacks {' and '.join(missing)}: {needs}.")
