"""Tables of a report: every metric has its place, its side and its decimals."""

from types import SimpleNamespace

from seqgan.evaluation.metrics import EVALUATION
from seqgan.reports.report_tables import metric_cell, number


def test_every_metric_has_its_heading_and_its_side():
    assert all(metric.heading for metric in EVALUATION.values())
    cell = SimpleNamespace
    for name, text, note in [
        ("bleu_4", "BLEU-4", "quality, higher is better"),
        ("self_bleu_4", "self-BLEU-4", "diversity, lower is better"),
        ("backward_bleu_2", "backward BLEU-2", "diversity, higher is better"),
        ("bleu_f1_5", "BLEU-5 F1 with backward BLEU", "both sides, higher is better"),
        ("nll_test", "NLL-test", "nats per token, diversity, lower is better"),
        ("entropy", "entropy of own samples", "nats per token"),
    ]:
        found = metric_cell(EVALUATION[name])
        assert cell(text=found.text, note=found.note) == cell(text=text, note=note)


def test_decimals_are_those_of_the_metric():
    values = [number("bleu_4", value) for value in (0.12346, -99.5, float("nan"))]
    assert values == ["0.1235", "-99.5000", "nan"]
    assert [number("reverse_perplexity", value) for value in (9.5, 181.8655)] == ["9.50", "181.87"]
