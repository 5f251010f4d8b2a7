"""Whether an estimator that takes numbers alone is given something else, as far as a few rows can tell."""

from __future__ import annotations

import textwrap
import warnings
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import scipy.sparse as sp
from dask.dataframe.utils import UNKNOWN_CATEGORIES, meta_nonempty
from sklearn.base import clone
from sklearn.utils import get_tags
from sklearn.utils.validation import validate_data

from dhpo.data.collections import is_delayed
from dhpo.data.rows import take
from dhpo.data.wrappers import unwrap

__all__ = ["NotNumbers", "check_rows", "refuse_what_is_no_number", "takes_numbers_alone", "takes_text"]

_ROWS = 20
_NAMED = 5
_LONGEST = 120  # characters of what scikit-learn says


class NotNumbers(ValueError):
    """X holds what the estimator cannot make numbers of."""


def takes_numbers_alone(estimator: Any) -> bool:
    """Whether this is an estimator of scikit-learn's own that turns X into floating-point numbers.

    A pipeline or another estimator that hands X on to its parts is none: they say it themselves.

    Parameters
    ----------
    estimator : estimator
    """
    estimator = unwrap(estimator)
    if not type(estimator).__module__.startswith("sklearn."):
        return False
    if any(hasattr(value, "fit") for value in estimator.get_params(deep=False).values()) or _parts(estimator):
        return False
    tags = get_tags(estimator)
    takes_more = tags.input_tags.string or tags.input_tags.categorical or tags.input_tags.dict
    return tags.input_tags.two_d_array and not takes_more and not tags.no_validation


def takes_text(estimator: Any) -> bool:
    """Whether X may be one text for each row, as far as the estimator, or the first step of a pipeline, says.

    Parameters
    ----------
    estimator : estimator
    """
    estimator = unwrap(estimator)
    while steps := [step for _, step in _parts(estimator) if step is not None and step != "passthrough"]:
        estimator = unwrap(steps[0])
    if not type(estimator).__module__.startswith(("sklearn.", "dhpo.")):
        return True  # which may do so, whatever its tags say
    tags = get_tags(estimator)
    return tags.input_tags.one_d_array or not tags.input_tags.two_d_array or tags.no_validation


def _parts(estimator: Any) -> list[tuple[str, Any]]:
    parts = getattr(estimator, "steps", None)
    return parts if isinstance(parts, list) else []


def refuse_what_is_no_number(estimator: Any, X: Any) -> bool:
    """Look at what is known of X without computing anything.

    Parameters
    ----------
    estimator : estimator
        One that takes numbers alone.
    X : array-like, sparse matrix, dask array or dask dataframe

    Returns
    -------
    bool
        Whether that is enough: of a dask collection's strings and objects only the values tell.

    Raises
    ------
    NotNumbers
        If scikit-learn's own validation refuses X, with the columns that it refuses.
    """
    if is_delayed(X):
        return False
    if isinstance(X, da.Array):
        if X.dtype.kind in "OSTU":
            return False
        _check(estimator, np.ones((1, max(_columns_of(X), 1)), dtype=X.dtype))
        return True
    if hasattr(X, "_meta") and hasattr(X, "partitions"):
        meta = X._meta
        if getattr(meta, "ndim", 1) != 2:
            return True
        told = [not _needs_values(dtype) for dtype in meta.dtypes]
        # What is taken alone may be refused beside others, so numbers stand for the columns that are yet to be seen.
        sample = meta_nonempty(meta).iloc[:1]
        sample = pd.concat(
            [sample.iloc[:, [i]] if known else pd.DataFrame({name: [1.0]}, index=sample.index)
             for i, (name, known) in enumerate(zip(meta.columns, told, strict=True))],
            axis=1,
        )  # fmt: skip
        _check(estimator, sample)
        return all(told)
    if isinstance(X, np.ndarray | pd.DataFrame) or sp.issparse(X) or isinstance(X, list | tuple):
        check_rows(estimator, X)
    return True


def check_rows(estimator: Any, X: Any) -> None:
    """Raise NotNumbers if scikit-learn's own validation refuses the first rows.

    Parameters
    ----------
    estimator : estimator
        One that takes numbers alone.
    X : array-like or sparse matrix
    """
    if getattr(X, "ndim", 2) == 2 and len(getattr(X, "shape", X)):
        _check(estimator, take(X, slice(0, _ROWS)))


def _columns_of(X: Any) -> int:
    return 1 if np.isnan(X.shape[1]) else int(X.shape[1])


def _needs_values(dtype: Any) -> bool:
    """Whether what is told by the type of a column does not say if its values are numbers."""
    if isinstance(dtype, pd.CategoricalDtype):
        numbers = {_is_number(category) for category in dtype.categories}
        return UNKNOWN_CATEGORIES in dtype.categories or len(numbers) > 1
    return pd.api.types.is_string_dtype(dtype)  # objects among them


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _check(estimator: Any, rows: Any) -> None:
    refused = _refusal(estimator, rows)
    if refused is None:
        return
    where = ""
    if isinstance(rows, pd.DataFrame):
        culprits = [
            f"{name!r} ({dtype})"
            for i, (name, dtype) in enumerate(rows.dtypes.items())
            if _refusal(estimator, rows.iloc[:, [i]]) is not None or dtype.kind in "mM"
        ]
        more = f" and {len(culprits) - _NAMED} more" if len(culprits) > _NAMED else ""
        where = f" These are not: {', '.join(culprits[:_NAMED])}{more}." if culprits else ""
        twice = list(dict.fromkeys(rows.columns[rows.columns.duplicated()]))
        where += f" More than one column is called {', '.join(map(repr, twice[:_NAMED]))}." if twice else ""
    raise NotNumbers(
        f"X: {type(estimator).__name__} takes columns of numbers, with names of their own.{where} scikit-learn says: "
        f"{refused} Convert such columns, leave them out, or encode them in a PartialFitPipeline that begins with a "
        "PartialFitColumnTransformer."
    )


def _refusal(estimator: Any, rows: Any) -> str | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            validate_data(
                clone(estimator),
                rows,
                dtype=np.float64,
                accept_sparse=True,
                ensure_all_finite=False,
                ensure_min_samples=0,
                ensure_min_features=0,
            )
        except Exception as error:
            said, _, _ = f"{type(error).__name__}: {error}".strip().partition("\n")
            return f"{textwrap.shorten(said, _LONGEST, placeholder=' ...').rstrip('.:')}."
    return None
