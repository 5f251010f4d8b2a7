"""What a function of `dhpo.plot` returns, and the axes that it draws on."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from dhpo.errors import ExtraNotInstalled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Display", "axes_to_draw_on", "matplotlib_module"]


@dataclass
class Display:
    """What was drawn, as scikit-learn's displays hold it.

    Attributes
    ----------
    figure_ : matplotlib Figure
    ax_ : matplotlib Axes
        The first of `axes_`.
    axes_ : list of matplotlib Axes
        One for each part of the picture.
    data_ : pandas.DataFrame
        The numbers that were drawn.

    Examples
    --------
    >>> import pandas as pd
    >>> from dhpo import plot
    >>> display = plot.history(pd.DataFrame({"score": [0.7, 0.9, 0.8], "param_alpha": [1.0, 0.1, 0.01]}))
    >>> display.ax_.get_ylabel(), display.data_["best"].tolist()
    ('score', [0.7, 0.9, 0.9])
    >>> display.figure_.savefig("history.png")
    """

    axes_: list[Axes]
    data_: pd.DataFrame = field(repr=False)

    @property
    def ax_(self) -> Axes:  # noqa: D102
        return self.axes_[0]

    @property
    def figure_(self) -> Figure:  # noqa: D102
        figure: Any = self.ax_.get_figure(root=True)
        return figure  # type: ignore[no-any-return]


def matplotlib_module(name: str) -> Any:
    """A module of matplotlib, imported when the first picture is drawn.

    Parameters
    ----------
    name : str
        Below "matplotlib".

    Raises
    ------
    ExtraNotInstalled
        If matplotlib is missing.
    """
    try:
        return import_module(f"matplotlib.{name}")
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("matplotlib"):
            raise
        raise ExtraNotInstalled(
            f"dhpo.plot draws with matplotlib, which is not installed. Run: pip install 'dhpo[plot]' ({error})"
        ) from error


def axes_to_draw_on(ax: Any, n_axes: int = 1, height: float = 4.0, width: float = 6.4) -> list[Any]:
    """The axes that were given, or those of a new figure.

    Parameters
    ----------
    ax : matplotlib Axes, sequence of them, or None
    n_axes : int, default 1
        That are needed; of a new figure they are beside each other, four in a row, and share the axis of scores.
    height, width : float
        Of each of them in a new figure, in inches.

    Raises
    ------
    ValueError
        If another number of axes was given.
    """
    if ax is not None:
        given = list(getattr(ax, "flat", ax)) if hasattr(ax, "__len__") else [ax]
        if len(given) != n_axes:
            raise ValueError(f"ax: this picture has {n_axes} part(s), and {len(given)} axes were given. Give {n_axes}.")
        return given
    n_columns = min(n_axes, 4)
    n_rows = -(-n_axes // n_columns)
    figure, axes = matplotlib_module("pyplot").subplots(
        n_rows,
        n_columns,
        squeeze=False,
        sharey=n_axes > 1,
        figsize=(width if n_axes == 1 else min(3.6 * n_columns, 14), height if n_axes == 1 else 3.4 * n_rows),
        layout="constrained",
    )
    for unused in axes.flat[n_axes:]:
        figure.delaxes(unused)
    return list(axes.flat[:n_axes])
