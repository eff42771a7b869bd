"""The metrics of text without their standard errors."""

from seqgan.evaluation.text_metrics import text_metrics


def text_values(*arguments):
    return {name: estimate.value for name, estimate in text_metrics(*arguments).items()}
