"""What a search may take over from an earlier one: models, scores, or parameters alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from dhpo.history.events import StartedFrom
from dhpo.journal.description import describe
from dhpo.journal.earlier_search import EarlierSearch
from dhpo.space.parameter_space import Space
from dhpo.trial import Params, Report, plain
from dhpo.wording import listed

__all__ = ["ABOUT_TRIALS", "Earlier", "NewSearch", "difference", "known_params"]

# Which trials there are, and how long they are trained: a model is what it is for all that.
ABOUT_TRIALS = {
    "search",
    "aggressiveness",
    "candidates",
    "decay_rate",
    "deterministic",
    "error_score",
    "fit(enqueue=)",
    "fits_per_score",
    "max_iter",
    "n_initial_iter",
    "n_initial_parameters",
    "n_iter",
    "param_distributions",
    "param_grid",
    "parameters",
    "patience",
    "sampler",
    "schedule",
    "scores_per_fit",
    "tol",
}
_ABOUT_SCORES = {"refit", "scoring"}
# What searches do that have no such parameter.
_WHERE_MISSING = {"return_train_score": "False"}
# As `refit` these say whether, and not by which of several metrics.
_NAMES_NO_METRIC = {"True", "False", None}
# Trials of an earlier search that are tried first; its scores that a sampler is told of.
_MOST_POINTS = 10
_MOST_LEARNED = 1000


@dataclass(frozen=True)
class NewSearch:
    """What a search is that starts from earlier ones.

    Parameters
    ----------
    identity : mapping of str to str
        See `dhpo.journal.Header`.
    entropy : int
        Its seed; 0 where that seeds neither models nor splits.
    space : Space
    n_trials : int
    draw : callable or None
        Returns the parameters of a trial by its number; None where they depend on reports.
    takes_points : bool
        Whether it tries points that it would not draw; a grid does not.
    points : mapping of int to mapping
        Parameters that trials get from the user.
    """

    identity: Mapping[str, str]
    entropy: int
    space: Space
    n_trials: int
    draw: Callable[[int], Params] | None
    takes_points: bool
    points: Mapping[int, Params] = field(default_factory=dict)


@dataclass(frozen=True)
class Earlier:
    """The searches that a new one starts from.

    Parameters
    ----------
    search : NewSearch
    searches : sequence of EarlierSearch
    """

    search: NewSearch
    searches: Sequence[EarlierSearch]

    def decided(self, digest: str, time: float) -> list[StartedFrom]:
        """Decide what is taken over from each, once the data was looked at.

        Parameters
        ----------
        digest : str
            Hash of the data of the new search.
        time : float
            Seconds since it began.
        """
        taken = dict(self.search.points)
        decisions = []
        for earlier in self.searches:
            no_models, no_scores = self._differences(earlier, digest)
            points = (
                _points(self.search, earlier, taken, keep_numbers=not no_models) if self.search.takes_points else {}
            )
            learned = _learned(earlier, self.search.space) if self.search.draw is None else ()
            why = no_models or no_scores
            decisions.append(StartedFrom(earlier.source, not no_models, not no_scores, why, points, learned, time))
            taken.update(points)
        return decisions

    def same(self, digest: str) -> list[tuple[EarlierSearch, bool, bool]]:
        """The searches whose models or scores are those of the new one, and which of the two."""
        differences = [(earlier, *self._differences(earlier, digest)) for earlier in self.searches]
        return [
            (earlier, not models, not scores) for earlier, models, scores in differences if not models or not scores
        ]

    def _differences(self, earlier: EarlierSearch, digest: str) -> tuple[str, str]:
        no_models, no_scores = difference(self.search.identity, self.search.entropy, earlier)
        if not no_models and earlier.digest != digest:
            return "other data", "other data"
        return no_models, no_scores


def difference(identity: Mapping[str, str], entropy: int | None, earlier: EarlierSearch) -> tuple[str, str]:
    """Why models, and why scores, of an earlier search are not those of a new one; empty where they are.

    What the data holds is not compared.

    Parameters
    ----------
    identity : mapping of str to str
        Of the new search.
    entropy : int or None
        Its seed; None where it is not known yet.
    earlier : EarlierSearch
    """
    if not earlier.identity:
        why = "it has no journal, so its models are gone and its data is not known"
        return why, why
    names = (identity.keys() | earlier.identity.keys()) - ABOUT_TRIALS
    other = [name for name in sorted(names) if _of(identity, name) != _of(earlier.identity, name)]
    if "refit" in other and ({identity.get("refit"), earlier.identity.get("refit")} <= _NAMES_NO_METRIC):
        other.remove("refit")
    if entropy != earlier.entropy:
        other.append("random_state")
    for_models = [name for name in other if name not in _ABOUT_SCORES]
    return _another(for_models), _another(other)


def _of(identity: Mapping[str, str], name: str) -> str | None:
    return identity.get(name, _WHERE_MISSING.get(name))


def _another(names: Sequence[str]) -> str:
    return f"another {listed(names)}" if names else ""


def _points(
    search: NewSearch, earlier: EarlierSearch, taken: Mapping[int, Params], keep_numbers: bool
) -> dict[int, Params]:
    """The best of the earlier search that this one would not try by itself, by the numbers that they get.

    A trial keeps its number where that seeds its model: so the model goes on from where it stands.
    """
    drawn = set() if search.draw is None else {known_params(search.draw(n)) for n in range(search.n_trials)}
    drawn |= {known_params(params) for params in taken.values()}
    points: dict[int, Params] = {}
    free = (number for number in range(search.n_trials) if number not in taken and number not in points)
    for report in _ranked(earlier):
        params = _params(earlier, report)
        if len(points) == _MOST_POINTS or known_params(params) in drawn:
            continue
        if params not in search.space:
            continue
        drawn.add(known_params(params))
        number = report.trial
        if not keep_numbers or number >= search.n_trials or number in taken or number in points:
            number = next(free, -1)
        if number >= 0:
            drawn_there = {} if search.draw is None or search.space.is_complete(params) else search.draw(number)
            points[number] = {**drawn_there, **params}
    return points


def _learned(earlier: EarlierSearch, space: Space) -> tuple[tuple[Params, float], ...]:
    """The trials that were scored at one resource, and what share of these each is better than.

    The resource is the highest at which half as many were scored as at any.
    """
    reports = [report for report in _ranked(earlier) if _params(earlier, report) in space]
    by_resource: dict[int, list[Report]] = {}
    for report in reports:
        by_resource.setdefault(report.resource, []).append(report)
    if not by_resource:
        return ()
    most = max(map(len, by_resource.values()))
    chosen = by_resource[max(resource for resource, found in by_resource.items() if 2 * len(found) >= most)]
    worst_first = sorted(chosen, key=lambda report: (report.score, -report.trial))
    rank = {report.trial: place / len(chosen) for place, report in enumerate(worst_first)}
    by_number = sorted(chosen, key=lambda report: report.trial)[:_MOST_LEARNED]
    return tuple((_params(earlier, report), rank[report.trial]) for report in by_number)


def _ranked(earlier: EarlierSearch) -> Sequence[Report]:
    """The last report of each trial that has a score, the best first."""
    last = earlier.history.last_reports()
    return sorted(last, key=lambda report: (-report.score, report.trial))


def _params(earlier: EarlierSearch, report: Report) -> Params:
    return earlier.history.trial(report.trial).params


def known_params(params: Params) -> str:
    """Parameters in words that are the same in any process."""
    return describe(plain(params))
