"""Every public class and function has an example that runs, and the searches document the same parameters alike."""

from __future__ import annotations

import doctest
import inspect
import re
import warnings
from collections import defaultdict
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

import clusters
import dhpo
import dhpo.compose
import dhpo.plot
import dhpo.samplers
import dhpo.schedules
import dhpo.spaces
import dhpo.testing
from dhpo.search.sampled import SampledSearchCV
from dhpo.search.whole import WholeOrBlockSearchCV

ROOT = Path(__file__).parents[2]
MODULES = [dhpo, dhpo.schedules, dhpo.samplers, dhpo.spaces, dhpo.testing, dhpo.compose, dhpo.plot, clusters]

SECTIONS = (
    "Parameters",
    "Attributes",
    "Returns",
    "Raises",
    "Warns",
    "See Also",
    "Notes",
    "References",
    "Examples",
)
HEADING = re.compile(rf"^({'|'.join(SECTIONS)})\n-+$\n", re.MULTILINE)


def public_objects() -> dict[str, Any]:
    """Public classes and functions by name, each once."""
    objects: dict[int, tuple[str, Any]] = {}
    for module in MODULES:
        for name in module.__all__:
            public = getattr(module, name)
            if inspect.isclass(public) or inspect.isfunction(public):
                objects.setdefault(id(public), (f"{module.__name__}.{name}", public))
    return dict(objects.values())


def is_raised(public: Any) -> bool:
    """Whether it is an exception or a warning: users only catch it, and what raises it names it under Raises."""
    return inspect.isclass(public) and issubclass(public, BaseException)


PUBLIC = public_objects()
WITH_EXAMPLES = {name: public for name, public in PUBLIC.items() if not is_raised(public)}
SEARCHES = {name: public for name, public in PUBLIC.items() if name.endswith("SearchCV")}


def sections(public: Any) -> dict[str, str]:
    """The sections of a docstring in numpydoc's style by their headings, in their order."""
    _, *parts = HEADING.split(inspect.cleandoc(public.__doc__))
    return dict(zip(parts[::2], parts[1::2], strict=True))


def parameters(search: type) -> dict[str, tuple[str, str]]:
    """The type and the text that the docstring of a class has for each parameter, in its order."""
    documented = {}
    for entry in re.split(r"\n(?=\S)", sections(search)["Parameters"].strip()):
        head, _, text = entry.partition("\n")
        names, _, type_ = head.partition(" : ")
        for name in names.split(", "):
            documented[name] = (type_, " ".join(text.split()))
    return documented


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_it_has_an_example(name: str) -> None:
    found = sections(WITH_EXAMPLES[name])
    assert list(found) == sorted(found, key=SECTIONS.index), "sections are not in numpydoc's order"
    examples = doctest.DocTestParser().get_examples(found.get("Examples", ""))
    assert [example for example in examples if not example.options.get(doctest.SKIP)], "no example that runs"


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_its_example_runs(name: str, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DHPO_HOME", str(tmp_path / "home"))  # where submissions are remembered
    # As a user pastes it: with nothing imported, and classes that are defined in it belong to no module of ours.
    namespace = {"__name__": "__main__"}
    finder = doctest.DocTestFinder(recurse=False)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    (test,) = finder.find(WITH_EXAMPLES[name], name, globs=namespace)
    said = StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("error", dhpo.ImpreciseScoresWarning)  # an example is one to follow
        runner.run(test, out=said.write)
    assert not runner.failures, said.getvalue()


def test_no_example_is_forgotten() -> None:
    """Those of modules, methods and what is not public would be run by nobody."""
    run = sum(">>> " in line for public in WITH_EXAMPLES.values() for line in public.__doc__.splitlines())
    written = sum(
        line.lstrip().startswith(">>> ")
        for package in ("dhpo", "clusters")
        for path in (ROOT / package).rglob("*.py")
        for line in path.read_text().splitlines()
    )
    assert run == written


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_documents_all_its_parameters(name: str) -> None:
    search = SEARCHES[name]
    documented = parameters(search)
    assert list(documented) == list(inspect.signature(search).parameters)
    for parameter, (type_, text) in documented.items():
        assert type_, f"{parameter} has no type"
        assert text, f"{parameter} has no text"
        assert not re.fullmatch(r"(See|As for|As in) `[\w.]+`\.?", text), f"{parameter} is documented elsewhere"


# Parameters that a search documents in words of its own, for they mean something else there or have another default.
OWN_WORDS = {
    "dhpo.ASHASearchCV": {"aggressiveness", "max_iter", "n_initial_iter", "n_initial_parameters", "random_state"},
    "dhpo.BOHBSearchCV": {"aggressiveness", "max_iter", "patience", "sampler"},
    "dhpo.HyperbandSearchCV": {"aggressiveness", "max_iter", "patience"},
    "dhpo.IncrementalSearchCV": {"decay_rate"},
    "dhpo.RandomizedSearchCV": {"random_state"},
    "dhpo.SearchCV": {"random_state"},
    "dhpo.SuccessiveHalvingSearchCV": {"max_iter", "n_initial_iter"},
}


@pytest.mark.parametrize("base", [SampledSearchCV, WholeOrBlockSearchCV], ids=lambda base: base.__name__)
def test_searches_document_the_same_parameter_alike(base: type) -> None:
    searches = {name: search for name, search in SEARCHES.items() if issubclass(search, base)}
    said = defaultdict(lambda: defaultdict(set))
    for name, search in searches.items():
        for parameter, documented in parameters(search).items():
            said[parameter][documented].add(name)
    for parameter, ways in said.items():
        own = {name for name in searches if parameter in OWN_WORDS.get(name, ())}
        common = [names for names in ways.values() if not names <= own]
        assert len(common) <= 1, (
            f"{parameter} is documented in one way by {' and in another by '.join(map(str, common))}"
        )
        for names in ways.values():
            alike = any(all(issubclass(searches[name], searches[base]) for name in names) for base in names)
            assert alike or not names & own, f"{parameter} is documented alike by {names}: no words of its own"


def test_every_search_is_compared() -> None:
    assert len(SEARCHES) == 9
    for search in SEARCHES.values():
        assert issubclass(search, SampledSearchCV) != issubclass(search, WholeOrBlockSearchCV)
    assert OWN_WORDS.keys() <= SEARCHES.keys()
