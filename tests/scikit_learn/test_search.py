"""scikit-learn's own tests of GridSearchCV and RandomizedSearchCV, run on ours.

python -m pytest tests/scikit_learn
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from unittest import mock

import pytest
import sklearn.model_selection
from distributed import Client

import dhpo
from tests.conftest import threads_of_this_process

_SOURCE = Path(sklearn.model_selection.__file__).parent / "tests" / "test_search.py"


def _with_our_searches():
    """scikit-learn's test module, in which the two names are ours from the first line on."""
    spec = importlib.util.spec_from_file_location("sklearn_test_search", _SOURCE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # cloudpickle looks there whether a class can be imported
    with (
        mock.patch.object(sklearn.model_selection, "GridSearchCV", dhpo.GridSearchCV),
        mock.patch.object(sklearn.model_selection, "RandomizedSearchCV", dhpo.RandomizedSearchCV),
    ):
        spec.loader.exec_module(module)
    return module


_CALLBACKS = (
    "the tasks that our searches tell scikit-learn's callbacks (new in 1.9) of are the trials, not the fits on each "
    "split, and those of the estimator are not called on workers"
)
_DO_NOT_APPLY = {
    "test_custom_run_search": "overrides _run_search, a private hook of scikit-learn's base class",
    "test_multi_metric_search_forwards_metadata": (
        "looks for a frame named fit in the stack of the scorer's call, which happens in another thread"
    ),
    "test_search_cv_verbose_3": "n_jobs internals: a line on standard output for each fit; progress is drawn instead",
    "test_search_callbacks_no_propagation": _CALLBACKS,
    "test_search_callbacks_propagation": _CALLBACKS,
    "test_search_callbacks_receive_sample_weight": _CALLBACKS,
    "test_search_callbacks_with_partial_fit_failures": _CALLBACKS,
}

globals().update({name: test for name, test in vars(_with_our_searches()).items() if name.startswith("test_")})

# As in scikit-learn's own runs: its tests look at the warnings that matter to them.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(autouse=True)
def only_what_applies(request):
    """Skip the tests listed above, but for their cases of other classes than ours."""
    params = getattr(request.node, "callspec", None)
    others = params is not None and any("Halving" in repr(value) for value in params.params.values())
    if not others and request.node.originalname in _DO_NOT_APPLY:
        pytest.skip(_DO_NOT_APPLY[request.node.originalname])


@pytest.fixture(scope="module", autouse=True)
def client():
    """Two threads of this process, so that what scikit-learn's tests record in memory is seen."""
    with threads_of_this_process(2) as cluster, Client(cluster) as client:
        yield client


def test_the_list_of_what_does_not_apply_names_tests():
    assert {name for name in _DO_NOT_APPLY if name not in globals()} == set()
