"""The method that hands a search over to Optuna, for all that have the events of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dhpo.exports.optuna_study import study_of
from dhpo.history.history import History

if TYPE_CHECKING:
    from optuna import Study

__all__ = ["ToOptuna"]


class ToOptuna:
    """Adds `to_optuna` to a class that says what has happened, and whether the search runs, by `_happened`."""

    def _happened(self) -> tuple[History, bool]:
        raise NotImplementedError

    def to_optuna(self, storage: Any = None, study_name: str | None = None, *, replace: bool = False) -> Study:
        """What has happened so far as a study of Optuna, for its plots, its dashboard and its samplers.

        The study does not change when the search goes on.

        Parameters
        ----------
        storage : str, path or optuna storage, optional
            Where to write the study, such as ``"sqlite:///study.db"`` or ``"study.db"``; in memory by default.
        study_name : str, optional
            Default: one that Optuna makes.
        replace : bool, default False
            Whether a study of that name in the storage is deleted first.

        Returns
        -------
        optuna.Study
            To be maximized, with a trial for each trial of the search. The how-to guide "Hand a search to other
            programs" says what becomes of states, resources and parameters.

        Raises
        ------
        ExtraNotInstalled
            If Optuna is missing: it is the extra ``optuna``.
        ValueError
            If the storage has a study of that name, and `replace` is False.
        """
        history, running = self._happened()
        return study_of(history, running=running, storage=storage, study_name=study_name, replace=replace)
