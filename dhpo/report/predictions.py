"""A judgement of the best model as a table and pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
from bokeh.models import FactorRange, LinearColorMapper
from bokeh.plotting import figure
from sklearn.metrics import precision_recall_fscore_support

from dhpo.dashboard.colours import COLOURS, colour_of
from dhpo.history.judgement import ClassJudgement, Judgement, NumberJudgement

__all__ = ["metrics_table", "pictures"]

# More classes than that have no place in a table, or in a picture.
_MOST_CLASSES = 25
_SIDE = 380


def metrics_table(judgement: Judgement) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of a table: precision, recall and F1 by class, or errors.

    Parameters
    ----------
    judgement : ClassJudgement or NumberJudgement
    """
    if isinstance(judgement, NumberJudgement):
        return ["metric", "value"], [[name, f"{value:.4g}"] for name, value in judgement.metrics.items()]
    true, predicted, counts = np.array(judgement.counts).reshape(-1, 3).T
    weighted: dict[str, Any] = {"labels": np.arange(len(judgement.classes)), "sample_weight": counts}
    precision, recall, f1, _ = precision_recall_fscore_support(true, predicted, zero_division=0.0, **weighted)
    mean = precision_recall_fscore_support(true, predicted, average="macro", zero_division=0.0, **weighted)
    rows = []
    worst = np.sort(np.argsort(f1, kind="stable")[:_MOST_CLASSES])
    for position in worst.tolist():
        label = judgement.classes[position]
        shares = [f"{values[position]:.3f}" for values in (precision, recall, f1)]
        area = f"{judgement.areas[position]:.3f}" if position in judgement.areas else ""
        rows.append([label, *shares, area, f"{int(counts[true == position].sum()):,}"])
    if others := len(judgement.classes) - len(worst):
        rows.append([f"{others:,} other classes, none with a lower F1", "", "", "", "", ""])
    rows.append(["mean of the classes", *(f"{value:.3f}" for value in mean[:3]), "", f"{judgement.n_rows:,}"])
    right = counts[true == predicted].sum() / max(judgement.n_rows, 1)
    rows.append([f"accuracy {right:.4f}", "", "", "", "", ""])
    return ["class", "precision", "recall", "F1", "ROC area", "rows"], rows


def pictures(judgement: Judgement) -> list[Any]:
    """The confusion matrix and the ROC curves of a classifier; what a regressor predicts, and its residuals.

    Parameters
    ----------
    judgement : ClassJudgement or NumberJudgement

    Returns
    -------
    list of bokeh figure
    """
    if isinstance(judgement, NumberJudgement):
        plots = [_against_the_truth(judgement), _residuals(judgement)]
    else:
        plots = [_confusion(judgement)] if len(judgement.classes) <= _MOST_CLASSES else []
        plots += [_roc_curves(judgement)] if judgement.curves else []
    for plot in plots:
        plot.toolbar.autohide = True
    return plots


def _confusion(judgement: ClassJudgement) -> Any:
    names = list(judgement.classes)
    counts = np.zeros((len(names), len(names)), dtype=int)
    for true_class, predicted_class, count in judgement.counts:
        counts[true_class, predicted_class] = count
    title = "Confusion matrix: rows by true class"
    ranges: Any = {"x_range": FactorRange(factors=names), "y_range": FactorRange(factors=names[::-1])}
    plot = figure(title=title, width=_SIDE + 60, height=_SIDE, **ranges)
    plot.xaxis.axis_label, plot.yaxis.axis_label = "predicted", "true"
    plot.grid.visible = False
    true, predicted = np.indices(counts.shape)
    # Of the rows of each class, so that rare classes are seen.
    shares = (counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)).ravel()
    data = {
        "x": [names[i] for i in predicted.ravel()],
        "y": [names[i] for i in true.ravel()],
        "share": shares,
        "count": [f"{count:,}" if count else "" for count in counts.ravel()],
        "ink": ["white" if share > 0.5 else "black" for share in shares],
    }
    mapper = LinearColorMapper(palette=_blues(), low=0.0, high=1.0)
    plot.rect("x", "y", 1, 1, source=data, fill_color={"field": "share", "transform": mapper}, line_color=None)
    if len(names) <= 12:
        plot.text("x", "y", "count", source=data, text_color="ink", text_align="center", text_baseline="middle")
    return plot


def _blues() -> list[str]:
    """From white to the first colour of brackets."""
    end = [int(COLOURS[0][i : i + 2], 16) for i in (1, 3, 5)]
    return ["#" + "".join(f"{round(255 + (c - 255) * step / 63):02x}" for c in end) for step in range(64)]


def _roc_curves(judgement: ClassJudgement) -> Any:
    all_shown = len(judgement.curves) == len(judgement.areas)
    title = "ROC curves" if all_shown else f"ROC curves of the {len(judgement.curves)} classes with the smallest areas"
    plot = figure(title=title, width=_SIDE + 200, height=_SIDE)
    plot.xaxis.axis_label, plot.yaxis.axis_label = "false positive rate", "true positive rate"
    plot.line([0, 1], [0, 1], color="grey", line_dash="dashed")
    for number, (position, (false, true)) in enumerate(judgement.curves.items()):
        name = f"{judgement.classes[position]}: area {judgement.areas[position]:.3f}"
        plot.line(list(false), list(true), color=colour_of(number), line_width=2, legend_label=name)
    plot.add_layout(plot.legend[0], "right")
    return plot


def _against_the_truth(judgement: NumberJudgement) -> Any:
    plot = figure(title="Predictions against the truth", width=_SIDE + 120, height=_SIDE)
    plot.scatter(list(judgement.true), list(judgement.predicted), size=4, alpha=0.5, color=colour_of(0))
    ends = [min(judgement.true), max(judgement.true)]
    plot.line(ends, ends, color="grey", line_dash="dashed")
    plot.xaxis.axis_label, plot.yaxis.axis_label = "true", "predicted"
    return plot


def _residuals(judgement: NumberJudgement) -> Any:
    edges = list(judgement.residual_edges)
    plot = figure(title="Residuals: true less predicted", width=_SIDE + 120, height=_SIDE)
    quads: dict[str, Any] = {"top": list(judgement.residual_counts), "left": edges[:-1], "right": edges[1:]}
    plot.quad(bottom=0, color=colour_of(0), alpha=0.8, **quads)
    plot.xaxis.axis_label, plot.yaxis.axis_label = "residual", "rows"
    return plot
