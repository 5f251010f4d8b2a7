"""Pipelines that learn block by block: scikit-learn's, with `partial_fit`."""

from __future__ import annotations

from dhpo.compose.column_transformer import PartialFitColumnTransformer, make_partial_fit_column_transformer
from dhpo.compose.pipeline import PartialFitPipeline, make_partial_fit_pipeline

__all__ = [
    "PartialFitColumnTransformer",
    "PartialFitPipeline",
    "make_partial_fit_column_transformer",
    "make_partial_fit_pipeline",
]
