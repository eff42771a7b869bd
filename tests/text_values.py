"""The metrics of text without their standard errors."""

from typing import Any

from seqgan.evaluation.text_metrics import text_metrics


def text_values(*arguments: Any) -> dict[str, float]:
    """Return the values by the metrics' names."""
    return {name: estimate.value for name, estimate in text_metrics(*arguments).items()}
