"""Every Python snippet of the README and of docs/ runs, and every public name is in the reference."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from distributed import Client

import clusters
import dhpo
import dhpo.compose
import dhpo.plot
import dhpo.samplers
import dhpo.schedules
import dhpo.testing

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]

FENCE = re.compile(r"^\s*```python\s*$", re.MULTILINE)
BLOCK = re.compile(r"^(?:<!-- not run:(?P<reason>[^\n]*)-->\n)?```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Snippet:
    page: Path
    line: int
    code: str
    reason: str | None

    def compiled(self) -> CodeType:
        """With the lines of the page, so that a traceback points there."""
        return compile("\n" * (self.line - 1) + self.code, str(self.page), "exec")


def snippets(page: Path) -> Iterator[Snippet]:
    text = page.read_text()
    for found in BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("code")) + 1
        yield Snippet(page, line, found["code"], found["reason"])


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


WITH_SNIPPETS = [page for page in PAGES if any(snippet.reason is None for snippet in snippets(page))]


@pytest.mark.parametrize("page", WITH_SNIPPETS, ids=name_of)
def test_the_snippets_of_a_page_run(
    client: Client, page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # As in a notebook: one after the other, and classes that are defined in them travel to the workers.
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for snippet in snippets(page):
        if snippet.reason is None:
            exec(snippet.compiled(), namespace)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_does_not_run_says_why_and_is_python(page: Path) -> None:
    found = list(snippets(page))
    assert len(found) == len(FENCE.findall(page.read_text())), "a block is indented, not closed, or far from its mark"
    for snippet in found:
        snippet.compiled()
        assert snippet.reason is None or snippet.reason.strip(), f"{page}:{snippet.line} does not say why it is not run"


def test_pages_are_found() -> None:
    assert len(WITH_SNIPPETS) >= 10


def test_every_page_is_linked() -> None:
    """Sphinx would warn; it is not among what the tests need."""
    for index in DOCS.rglob("index.md"):
        listed = set(re.findall(r"^[\w/-]+$", index.read_text(), re.MULTILINE))
        for page in [*index.parent.glob("*.md"), *index.parent.glob("*.rst")]:
            assert page.stem in listed | {"index"}, f"{name_of(index)} does not list {page.name}"


def test_links_of_the_readme_lead_somewhere() -> None:
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md"):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (ROOT / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_that_a_page_names_are_there(page: Path) -> None:
    for path in re.findall(r"`((?:dhpo|clusters|docker|docs|examples|tests)/[\w./-]*\w)`", page.read_text()):
        assert (ROOT / path).exists() or path == "docs/_build", f"{name_of(page)} names {path}"


def test_the_architecture_names_every_room() -> None:
    text = (DOCS / "explanation" / "architecture.md").read_text()
    rooms = [path.stem for path in (ROOT / "dhpo").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
    assert [room for room in rooms if room != "__init__" and f"`{room}`" not in text] == []


@pytest.mark.parametrize(
    "module",
    [dhpo, dhpo.compose, dhpo.plot, dhpo.samplers, dhpo.schedules, dhpo.testing, clusters],
    ids=lambda module: module.__name__,
)
def test_every_public_name_is_in_the_reference(module: Any) -> None:
    reference = "\n".join(page.read_text() for page in (DOCS / "reference").glob("*.rst"))
    documented = {name.rpartition(".")[2] for name in re.findall(r"^\.\. auto\w+:: (\S+)", reference, re.MULTILINE)}
    assert {name for name in module.__all__ if not name.startswith("__")} <= documented


def test_the_readme_is_one_screen_and_a_bit() -> None:
    assert len((ROOT / "README.md").read_text().split()) <= 900
