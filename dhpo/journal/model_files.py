"""Where the models lie that the events of a journal tell of."""

from __future__ import annotations

from collections.abc import Iterable

from dhpo.history.events import Checkpoint, Event, Reported, Reused, StepDone

__all__ = ["replayed_models"]


def replayed_models(events: Iterable[Event]) -> dict[int, Checkpoint]:
    """The model of each trial as it was when it was last scored; of searches with one split of the data.

    Parameters
    ----------
    events : iterable of Event
    """
    latest: dict[int, Checkpoint] = {}
    scored: dict[int, Checkpoint] = {}
    for event in events:
        match event:
            case StepDone(models=models) | Reused(models=models):
                latest.update((m.model, m.checkpoint) for m in models if m.checkpoint is not None)
            case Reported(report, splits=splits) if len(splits) == 1:
                model = latest.get(report.trial)
                if report.failed or model is None or model.calls != report.resource:
                    scored.pop(report.trial, None)  # a score that an earlier search knew may come without its model
                else:
                    scored[report.trial] = model
    return scored
