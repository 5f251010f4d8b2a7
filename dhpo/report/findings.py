"""What a reader of a report should know beside the numbers, in whole sentences."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from dhpo.history.history import History
from dhpo.history.judgement import ClassJudgement
from dhpo.history.row import NOT_FINITE
from dhpo.space.parameter_range import ParameterRange
from dhpo.views.text import short_value
from dhpo.wording import counted

__all__ = ["FailureGroup", "edge_of_range", "failure_groups", "findings", "ranges_of"]

# Of its range as it is drawn: nearer to an end than that, the best may lie beyond it.
_NEAR = 0.05
# Fewer values of a list have ends only.
_FEWEST_CHOICES = 3
# With so many rows an accuracy has a standard error below 0.016, whatever it is.
_MANY_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Trials that failed alike.

    Parameters
    ----------
    error : str
        The last line of their tracebacks.
    trials : tuple of int
        Their numbers.
    traceback : str
        Of the first of them.
    """

    error: str
    trials: tuple[int, ...]
    traceback: str


def findings(history: History) -> list[str]:
    """All that is worth a sentence: the ends of ranges, few rows, failures, an early end.

    Parameters
    ----------
    history : History
    """
    said = []
    best = history.best
    if best is not None and history.has_failed(best.trial.number):
        said.append(f"The best, trial {best.trial.number}, failed: error_score is above the scores of all others.")
    elif best is not None:
        for name, of_parameter in ranges_of(history).items():
            sentence = edge_of_range(name, best.trial.params.get(name), of_parameter)
            said += [sentence] if sentence else []
    prepared = history.prepared
    if prepared is not None and 0 < prepared.n_validation < _MANY_ROWS and best is not None:
        error = f"{math.sqrt(0.25 / prepared.n_validation):.2g}"
        little = (
            f": a share of them, such as accuracy, has a standard error of up to {error}, so trials that differ by less"
            if isinstance(history.judgement, ClassJudgement)
            else ", so trials that differ by little"
        )
        said.append(
            f"Scores rest on {counted(prepared.n_validation, 'row')}{little} may differ by chance. Hold out more "
            "(test_size=), pass validation_data=, or use cv=."
        )
    if history.n_failed:
        said.append(f"{counted(history.n_failed, 'trial')} failed; see below.")
    if history.n_failed_in_part:
        said.append(
            f"Of {counted(history.n_failed_in_part, 'trial')} some fit or some scorer failed; error_score stands in "
            "for what is missing. See below."
        )
    return said


def ranges_of(history: History) -> dict[str, ParameterRange]:
    """The values that each parameter may take; empty where the plan does not tell.

    Parameters
    ----------
    history : History
    """
    return {} if history.planned is None else dict(history.planned.ranges)


def edge_of_range(name: str, value: Any, of_parameter: ParameterRange) -> str | None:
    """What to do where the best value lies at an end of its range; None where it does not.

    Parameters
    ----------
    name : str
    value : object
        That of the best trial.
    of_parameter : ParameterRange
    """
    low, high, choices = of_parameter.low, of_parameter.high, of_parameter.choices
    if of_parameter.kind == "category" or low is None or high is None or low >= high or not _is_number(value):
        return None
    if choices is not None:
        if len(choices) < _FEWEST_CHOICES:
            return None
        at_low, at_high = value <= low, value >= high
    else:
        scale = math.log if of_parameter.kind == "log" and low > 0 else float
        share = (scale(value) - scale(low)) / (scale(high) - scale(low))
        at_low, at_high = share < _NEAR, share > 1 - _NEAR
    if not at_low and not at_high:
        return None
    end, beyond, bound = ("lower", "below", low) if at_low else ("upper", "above", high)
    return (
        f"The best {name}, {short_value(value)}, lies at the {end} end of its range, {short_value(low)} to "
        f"{short_value(high)}: a better one may lie beyond. Extend {name} {beyond} {short_value(bound)}."
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def failure_groups(history: History) -> list[FailureGroup]:
    """Trials that failed, by the last line of their error, the largest group first.

    Parameters
    ----------
    history : History
    """
    groups: dict[str, list[tuple[int, str]]] = {}
    for trial, error in history.errors().items():
        last = error.strip().rpartition("\n")[2] or NOT_FINITE
        groups.setdefault(last, []).append((trial, error))
    found = [FailureGroup(last, tuple(t for t, _ in group), group[0][1]) for last, group in groups.items()]
    return sorted(found, key=lambda group: (-len(group.trials), group.trials))
