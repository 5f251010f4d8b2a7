"""How good the predictions of the best model are on rows that are known, by the metrics of scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from bokeh.models import FactorRange, LinearColorMapper
from bokeh.plotting import figure
from sklearn.metrics import (
    confusion_matrix,
    mean_absolute_error,
    median_absolute_error,
    precision_recall_fscore_support,
    r2_score,
    roc_auc_score,
    roc_curve,
    root_mean_squared_error,
)

from dhpo.dashboard.colours import COLOURS, colour_of

__all__ = ["Judged", "judge_classes", "judge_numbers"]

# More classes than that have no place in a picture.
_MOST_CLASSES, _MOST_CURVES = 25, 7
_MOST_POINTS = 2_000
_SIDE = 380


@dataclass
class Judged:
    """What came of it.

    Parameters
    ----------
    header : list of str
    rows : list of list of str
        Of a table of metrics.
    pictures : list of bokeh model
    n_rows : int
    """

    header: list[str]
    rows: list[list[str]]
    n_rows: int
    pictures: list[Any] = field(default_factory=list)


def judge_classes(y_true: np.ndarray, y_pred: np.ndarray, y_score: np.ndarray | None, classes: np.ndarray) -> Judged:
    """Judge a classifier: precision, recall and F1 by class, the confusion matrix, and ROC curves.

    Parameters
    ----------
    y_true, y_pred : ndarray of shape (n_rows,)
    y_score : ndarray of shape (n_rows,) or (n_rows, n_classes), or None
        Decision values or probabilities; of two classes those of the second. Without them there are no ROC curves.
    classes : ndarray of shape (n_classes,)
        Sorted, as in `classes_`.
    """
    precision, recall, f1, support = precision_recall_fscore_support(y_true, y_pred, labels=classes, zero_division=0.0)
    scores = _scores_by_class(y_true, y_score, classes)
    areas = {position: float(roc_auc_score(*pair)) for position, pair in scores.items()}
    rows = []
    for position, label in enumerate(classes):
        shares = [f"{values[position]:.3f}" for values in (precision, recall, f1)]
        area = f"{areas[position]:.3f}" if position in areas else ""
        rows.append([str(label), *shares, area, f"{int(support[position]):,}"])
    mean = precision_recall_fscore_support(y_true, y_pred, labels=classes, average="macro", zero_division=0.0)
    rows.append(["mean of the classes", *(f"{value:.3f}" for value in mean[:3]), "", f"{len(y_true):,}"])
    rows.append([f"accuracy {float(np.mean(y_true == y_pred)):.4f}", "", "", "", "", ""])
    judged = Judged(["class", "precision", "recall", "F1", "ROC area", "rows"], rows, len(y_true))
    if len(classes) <= _MOST_CLASSES:
        judged.pictures.append(_confusion(confusion_matrix(y_true, y_pred, labels=classes), [str(c) for c in classes]))
    if areas:
        judged.pictures.append(_roc_curves(scores, areas, classes))
    return judged


def _confusion(counts: np.ndarray, names: list[str]) -> Any:
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
    plot.toolbar.autohide = True
    return plot


def _blues() -> list[str]:
    """From white to the first colour of brackets."""
    end = [int(COLOURS[0][i : i + 2], 16) for i in (1, 3, 5)]
    return ["#" + "".join(f"{round(255 + (c - 255) * step / 63):02x}" for c in end) for step in range(64)]


def _scores_by_class(
    y_true: np.ndarray, y_score: np.ndarray | None, classes: np.ndarray
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """By position of the class: which rows are of it, and their scores; of two classes the second alone."""
    if y_score is None:
        return {}
    if len(classes) == 2:
        columns = {1: y_score if y_score.ndim == 1 else y_score[:, -1]}
    elif y_score.ndim == 2 and y_score.shape[1] == len(classes):
        columns = dict(enumerate(y_score.T))
    else:
        return {}
    pairs = {position: (y_true == classes[position], scores) for position, scores in columns.items()}
    return {
        position: (of_class, scores)
        for position, (of_class, scores) in pairs.items()
        if of_class.any() and not of_class.all() and np.isfinite(scores).all()
    }


def _roc_curves(scores: dict[int, tuple[np.ndarray, np.ndarray]], areas: dict[int, float], classes: np.ndarray) -> Any:
    shown = sorted(sorted(areas, key=lambda position: areas[position])[:_MOST_CURVES])
    few = len(shown) == len(areas)
    title = "ROC curves" if few else f"ROC curves of the {len(shown)} classes with the smallest areas"
    plot = figure(title=title, width=_SIDE + 200, height=_SIDE)
    plot.xaxis.axis_label, plot.yaxis.axis_label = "false positive rate", "true positive rate"
    plot.line([0, 1], [0, 1], color="grey", line_dash="dashed")
    for number, position in enumerate(shown):
        false, true, _ = roc_curve(*scores[position])
        every = max(len(false) // _MOST_POINTS, 1)
        kept = np.unique(np.append(np.arange(0, len(false), every), len(false) - 1))
        name = f"{classes[position]}: area {areas[position]:.3f}"
        plot.line(false[kept], true[kept], color=colour_of(number), line_width=2, legend_label=name)
    plot.add_layout(plot.legend[0], "right")
    plot.toolbar.autohide = True
    return plot


def judge_numbers(y_true: np.ndarray, y_pred: np.ndarray) -> Judged:
    """Judge a regressor: R², errors, predictions against the truth, and the residuals.

    Parameters
    ----------
    y_true, y_pred : ndarray of shape (n_rows,)
        Pictures draw 2,000 rows of them at most.
    """
    residuals = y_true - y_pred
    metrics = {
        "R²": r2_score(y_true, y_pred),
        "root mean squared error": root_mean_squared_error(y_true, y_pred),
        "mean absolute error": mean_absolute_error(y_true, y_pred),
        "median absolute error": median_absolute_error(y_true, y_pred),
        "mean residual": float(residuals.mean()),
    }
    shown = np.random.default_rng(0).permutation(len(y_true))[:_MOST_POINTS]
    against = figure(title="Predictions against the truth", width=_SIDE + 120, height=_SIDE)
    against.scatter(y_true[shown], y_pred[shown], size=4, alpha=0.5, color=colour_of(0))
    ends = [float(y_true.min()), float(y_true.max())]
    against.line(ends, ends, color="grey", line_dash="dashed")
    against.xaxis.axis_label, against.yaxis.axis_label = "true", "predicted"
    counts, edges = np.histogram(residuals, bins=40)
    spread = figure(title="Residuals: true less predicted", width=_SIDE + 120, height=_SIDE)
    spread.quad(top=counts, bottom=0, left=edges[:-1], right=edges[1:], color=colour_of(0), alpha=0.8)
    spread.xaxis.axis_label, spread.yaxis.axis_label = "residual", "rows"
    for plot in (against, spread):
        plot.toolbar.autohide = True
    return Judged(["metric", "value"], [[n, f"{v:.4g}"] for n, v in metrics.items()], len(y_true), [against, spread])
