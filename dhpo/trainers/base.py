"""The contract of trainers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from dhpo.data.rows import Rows

__all__ = ["Trainer"]


class Trainer(Protocol):
    """Says what a unit of resource is, and brings a model from one amount of it to another.

    A search trains its trials up to a resource: a number of units. It trains some of them further, later, after they
    were pickled, and in another process. `dhpo.testing.check_trainer` checks what a trainer has to keep for that.

    Attributes
    ----------
    unit : str
        What is counted, in the singular, as in "partial_fit call" or "tree".
    needs_all_rows : bool
        Whether a model is trained on all rows at once. Otherwise each unit sees one block of rows, in the order of the
        search.
    exact : bool
        Whether a model that is trained in several parts is the same, bit for bit, as one that is trained at once.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import SGDClassifier
    >>> from dhpo.testing import check_trainer
    >>> class Twice:
    ...     unit = "double call"
    ...     needs_all_rows = False
    ...     exact = True
    ...
    ...     def check(self, estimator):
    ...         if not hasattr(estimator, "partial_fit"):
    ...             raise TypeError("Twice takes estimators with partial_fit")
    ...
    ...     def advance(self, model, rows, fit_params, before, after):
    ...         for _ in range(2):
    ...             model.partial_fit(rows.X, rows.y, **fit_params)
    ...         return model
    >>> X, y = load_iris(return_X_y=True)
    >>> check_trainer(Twice(), SGDClassifier(random_state=0), X, y, fit_params={"classes": [0, 1, 2]})
    """

    unit: str
    needs_all_rows: bool
    exact: bool

    def check(self, estimator: Any) -> None:
        """Raise TypeError or ValueError for an estimator that cannot be trained so."""

    def advance(self, model: Any, rows: Rows, fit_params: Mapping[str, Any], before: int, after: int) -> Any:
        """Train a model on, and return it.

        Parameters
        ----------
        model : estimator
            Trained up to `before`; not fitted where that is 0. It belongs to the trainer.
        rows : Rows
            With the attributes `X`, `y` and `sample_weight`; to be read, not written.
        fit_params : mapping
            More arguments of the user.
        before, after : int
            Units that it has seen, and that it will have seen; one more where `needs_all_rows` is false.
        """
