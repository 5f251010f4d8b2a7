"""Searches in a notebook, in a kernel of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

TIMEOUT = 300

DATA = """
import dask.array as da
from sklearn.linear_model import SGDClassifier
from dhpo import GridSearchCV, HyperbandSearchCV
X = da.random.default_rng(0).normal(size=(2_000, 5), chunks=(200, 5))
y = (X[:, 0] > 0).astype(int)
search = HyperbandSearchCV(SGDClassifier(), {"alpha": [1e-4, 1e-2, 1, 100]}, max_iter=9, random_state=0)
"""


def run(cells: list[str], folder: Path) -> tuple[list[list[Any]], list[str]]:
    """The outputs of each cell, and every HTML that updated one."""
    updates: list[str] = []

    class Client(NotebookClient):
        def process_message(self, msg: Any, cell: Any, cell_index: int) -> Any:
            if msg["msg_type"] == "update_display_data":
                updates.append(msg["content"]["data"]["text/html"])
            return super().process_message(msg, cell, cell_index)

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    Client(notebook, timeout=TIMEOUT, resources={"metadata": {"path": str(folder)}}).execute()
    return [cell["outputs"] for cell in notebook["cells"]], updates


def html_of(outputs: list[Any]) -> list[str]:
    return [output["data"]["text/html"] for output in outputs if "text/html" in output.get("data", {})]


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[list[Any]], list[str]]:
    cells = [
        DATA,
        "search.plan()",
        "search.fit(X, y, classes=[0, 1])",
        "run = search.start(X, y, classes=[0, 1], journal='runs/a')\nrun.result()\nrun",
        "import dhpo\ndhpo.load('runs/a')",
        # The loop of the notebook runs the search itself.
        "from distributed import Client\n"
        "async with Client(processes=False, n_workers=1, asynchronous=True, dashboard_address=':0') as client:\n"
        "    await search.fit(X, y, classes=[0, 1])",
    ]
    return run(cells, tmp_path_factory.mktemp("notebook"))


def test_fit_shows_one_output_that_holds_the_last_picture(executed: Any) -> None:
    outputs, updates = executed
    picture, face = html_of(outputs[2])
    assert "done after" in picture
    assert ">100%<" in picture
    assert "best " in picture
    assert updates  # while it ran, or at its end
    assert picture in updates
    assert "sk-" in face  # the diagram of scikit-learn
    assert "done after" in face
    assert face.index("sk-") < face.index("done after")
    assert not [output for output in outputs[2] if output["output_type"] == "stream"]


def test_a_plan_a_run_and_a_stored_search_show_themselves(executed: Any) -> None:
    outputs, _ = executed
    (plan,) = html_of(outputs[1])
    assert "9 x 1" in plan
    assert "total" in plan
    assert "done after" in html_of(outputs[3])[-1]
    assert "done after" in html_of(outputs[4])[-1]


def test_it_works_in_the_loop_of_the_notebook(executed: Any) -> None:
    outputs, _ = executed
    assert "done after" in html_of(outputs[5])[0]
