"""What a journal remembers of a search, to know it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import joblib

from dhpo.data.collections import Chunks, is_lazy
from dhpo.data.graphs import is_future
from dhpo.data.wrappers import unwrap
from dhpo.driver.job import Job
from dhpo.journal import LISTS_BESIDE_CODE, VERSIONS, collecting_lists, describe, versions_for
from dhpo.journal.carry_over import ABOUT_TRIALS
from dhpo.whole_fits.fit_job import FitJob

__all__ = ["identity_of", "identity_of_fits", "identity_of_params"]

# Nothing of this changes the answer of a search; its seed is recorded by itself.
_NO_MATTER = {
    "callbacks",
    "max_failures",
    "n_jobs",
    "pre_dispatch",
    "predict_meta",
    "predict_proba_meta",
    "prefix",
    "random_state",
    "speculate",
    "time_budget",
    "transform_meta",
    "trial_timeout",
    "verbose",
}


def identity_of(search: Any, job: Job, enqueue: Any = None) -> dict[str, str]:
    """All that the answer of a search depends on, in words; its seed apart, and what the data holds.

    Parameters
    ----------
    search : estimator
    job : Job
        Made from it and the arguments of `fit`.
    enqueue : list of dict, optional
        Points to begin with.
    """
    identity = identity_of_params(search)
    if enqueue is not None:
        identity["fit(enqueue=)"] = describe(list(enqueue))
    identity["X"] = _of_chunks(job.data.X)
    identity["y"] = _of_chunks(job.data.y)
    identity["sample_weight"] = _of_chunks(job.data.sample_weight)
    if job.data.validation is not None:
        identity["validation_data"] = " and ".join(_of_chunks(chunks) for chunks in job.data.validation)
    identity.update((f"fit({name}=)", _of_argument(value)) for name, value in job.fit_kwargs.items())
    return identity


def identity_of_fits(
    search: Any, fits: FitJob, X: Any, y: Any, fit_params: Mapping[str, Any], enqueue: Any = None
) -> dict[str, str]:
    """The same of a search that fits candidates whole; their parameters are a part of it, for they may be random.

    Parameters
    ----------
    search : estimator
    fits : FitJob
        Made from it and the arguments of `fit`.
    X, y : array-like
    fit_params : mapping
        More arguments of `fit`; they are compared with the data.
    enqueue : list of dict, optional
        Points to begin with.
    """
    identity = identity_of_params(search)
    if enqueue is not None:
        identity["fit(enqueue=)"] = describe(list(enqueue))
    candidates = fits.candidates
    drawn = "drawn one by one" if candidates.sampler else f"with hash {joblib.hash(describe(list(candidates)))}"
    identity["candidates"] = f"{len(candidates)} {drawn}"
    identity.update((name, f"shape {getattr(value, 'shape', None)}") for name, value in (("X", X), ("y", y)))
    identity["arguments of fit"] = ", ".join(sorted(fit_params)) or "none"
    return identity


def identity_of_params(search: Any) -> dict[str, str]:
    """The same as far as it is known without data: the parameters of the search."""
    params = search.get_params(deep=False)
    identity = {"search": type(search).__name__, VERSIONS: versions_for(unwrap(search.estimator))}
    lists: list[str] = []
    for name, value in params.items():
        if name in _NO_MATTER or name == "max_resource" or (name == "resource" and value == "auto"):
            continue
        if name == "max_iter":
            value = search._most()
        elif value == "n_samples" and name == "resource":  # a unit is another part of the rows
            value = f"n_samples / {search._most() or search.plan().max_resource}"
        with collecting_lists() as found:
            identity[name] = describe(value)
        if name not in ABOUT_TRIALS:
            lists.extend(found)
    if lists:
        identity[LISTS_BESIDE_CODE] = f"with hash {joblib.hash(sorted(set(lists)))}"
    return identity


def _of_argument(value: Any) -> str:
    # What Dask has yet to compute depends on data, which is compared by itself.
    return "computed by Dask" if is_lazy(value) or is_future(value) else describe(value)


def _of_chunks(chunks: Chunks | None) -> str:
    if chunks is None:
        return "None"
    columns = "" if chunks.n_columns is None else f" x {chunks.n_columns}"
    rows = "unknown rows" if chunks.n_rows is None else f"{chunks.n_rows} rows"
    return f"{rows}{columns} in {len(chunks.keys)} chunks"
