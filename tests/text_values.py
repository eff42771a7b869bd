"""The metrics of text without their standard errors."""

from seqgan.evaluation.metrics import measure_texts
from seqgan.evaluation.texts import RealText, TextPair
from seqgan.text.sequences import Sequences


def text_values(hypotheses: Sequences, real: RealText | Sequences) -> dict[str, float]:
    """Return the values by the metrics' names."""
    real = real if isinstance(real, RealText) else RealText(real)
    return {name: estimate.value for name, estimate in measure_texts(TextPair(hypotheses, real)).items()}
