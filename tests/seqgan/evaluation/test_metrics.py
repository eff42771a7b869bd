"""The one table of metrics: its entries, a user's own behind them, criteria, what is comparable."""

import dataclasses
import re

import pytest

from seqgan.evaluation.metric import Metric, as_metric
from seqgan.evaluation.metrics import (
    EVALUATION,
    METRICS,
    check_criterion,
    find_metric,
    load_metrics,
    lower_is_better,
    measure_texts,
    measured_metrics,
)
from seqgan.evaluation.ngrams import number_words
from seqgan.evaluation.signature import Estimate, Score, Signature
from seqgan.evaluation.texts import ORDERS, RealText, TextPair

GENERATED, REAL = ["a cat .", "a dog !", "a dog !"], ["a cat !", "the dog ."]


def texts():
    hypotheses, references = number_words(*([s.split() for s in side] for side in (GENERATED, REAL)))
    return TextPair(hypotheses, RealText(references, strings=lambda: REAL), lambda: GENERATED)


def shouted(hypotheses: list[str], references: list[str]) -> list[float]:
    """Share of sentences that end with an exclamation mark (lower).

    Nothing else.
    """
    return [float(sentence.endswith("!")) for sentence in hypotheses]


def words_in_common(hypotheses, references):
    """Number of words that occur on both sides, words (higher)"""
    return len(set(" ".join(hypotheses).split()) & set(" ".join(references).split()))


class TestTheTable:
    def test_every_entry_says_what_tables_and_verdicts_need(self):
        assert len(EVALUATION) == len({metric.label for metric in EVALUATION.values()})
        for name, metric in EVALUATION.items():
            assert metric.name == name and metric.meaning and metric.heading
            if metric.side in ("quality", "diversity", "both sides"):
                assert metric.better, name
        assert METRICS.keys() >= {"mle/loss", "evaluation/bleu_2", "evaluation/jeffreys"}
        assert not METRICS.keys() & {
            "evaluation/mauve",
            "evaluation/ngram_share",
        }  # no run has them by itself

    @pytest.mark.parametrize(
        ("name", "label"),
        [
            ("bleu_4", "BLEU-4 (higher)"),
            ("self_bleu_5", "self-BLEU-5 (lower)"),
            ("nll_test", "NLL-test, nats per token (lower)"),
            ("longest_copied", "longest copied n-gram, mean, tokens"),
            ("ngram_js_3", "3-gram Jensen-Shannon, nats (lower)"),
        ],
    )
    def test_labels(self, name, label):
        assert EVALUATION[name].label == label
        assert METRICS["policy/kl"].label == "KL(policy to MLE policy), nats per token"

    def test_text_metrics_are_those_with_a_function(self):
        found = measure_texts(texts())
        without_copies_and_unknown = {"novelty", "longest_copied", "unknown"}
        of_text = {name for name, metric in EVALUATION.items() if metric.measure is not None}
        assert found.keys() == of_text - without_copies_and_unknown
        assert {f"{kind}_{n}" for kind in ("bleu", "ms_jaccard", "distinct") for n in ORDERS} <= found.keys()

    def test_sentence_values_belong_to_the_side_that_the_table_names(self):
        sizes = {"samples": len(GENERATED), "references": len(REAL)}
        for name, estimate in measure_texts(texts()).items():
            over = EVALUATION[name].over
            if estimate.sentence_values is not None:
                assert len(estimate.sentence_values) == sizes[over], name


class TestAUsersOwn:
    def test_a_function_of_two_lists_of_sentences_is_a_metric(self):
        metric = as_metric(shouted)
        assert metric.label == "Share of sentences that end with an exclamation mark (lower)"
        estimate = metric.measure(texts())
        assert estimate.value == pytest.approx(2 / 3)
        assert estimate.sentence_values.tolist() == [0, 1, 1] and estimate.standard_error > 0
        whole = as_metric(words_in_common)
        assert (whole.name, whole.lower_is_better) == ("words_in_common", False)
        assert whole.measure(texts()) == Estimate(5.0)  # a, cat, dog, . and !

    @pytest.mark.parametrize(
        ("docstring", "label"),
        [
            ("Return the share of questions (higher).", "Share of questions (higher)"),
            ("Returns a mean.\n\nOf all.", "Mean"),
            ("Compute dogs", "Dogs"),
            ("Returned sentences.", "Returned sentences"),
            ("questions", "Questions"),
            ("Return the ", "Own"),
            (".", "Own"),
            (None, "Own"),
        ],
    )
    def test_its_label_is_what_its_docstring_says_that_it_returns(self, docstring, label):
        def own(hypotheses, references):
            return 0

        own.__doc__ = docstring
        assert as_metric(own).label == label

    def test_a_metric_of_ones_own_may_say_more(self):
        own = Metric(
            name="own",
            meaning="own",
            sizes=(),
            measure=lambda pair: Estimate(float(len(pair.ngrams.distinct))),
        )
        table = {**EVALUATION, "own": as_metric(own)}
        assert measure_texts(texts(), table)["own"].value == max(ORDERS)

    def test_one_file_is_enough(self, tmp_path, monkeypatch):
        """It is measured, may be a criterion, and is known by its label where its file is not at hand."""
        path = tmp_path / "own.py"
        path.write_text('def dogs(hypotheses, references):\n    """Dogs (higher)."""\n    return 3\n')
        table = load_metrics([f"{path}:dogs"], "--evaluation.metrics")
        assert list(table) == [*EVALUATION, "dogs"]
        found = measure_texts(texts(), table)
        assert list(found)[-1] == "dogs"
        check_criterion("dogs", table, with_oracle=False)
        assert lower_is_better("dogs", table) is False
        score = Score.from_estimates(found, Signature(), {"dogs": table["dogs"].label})
        for short in (False, True):
            assert measured_metrics([score], short=short)[-1].label == "Dogs (higher)"
        assert find_metric("dogs_seen").label == "dogs seen"

    @pytest.mark.parametrize(
        ("function", "message"),
        [
            (lambda h, r: 1 / 0, "fails on 3 sentences: ZeroDivisionError: division by zero"),
            (lambda h: 1, "fails on 3 sentences: TypeError: .*positional argument"),
            (
                lambda h, r: [1, 2],
                r"gives an array \(2,\); it must give one number, or one for each of the 3",
            ),
            (lambda h, r: None, "gives nan; numbers must be finite"),
            (lambda h, r: "much", "fails on 3 sentences: ValueError: could not convert"),
            (lambda h, r: [0, float("inf"), 0], "gives inf; numbers must be finite"),
            (lambda h, r: [[1, 2], [3]], "fails on 3 sentences"),
        ],
    )
    def test_one_that_fails_is_named_in_one_line(self, function, message):
        function.__name__ = "own"
        with pytest.raises(ValueError, match=f"^metric own: {message}") as found:
            as_metric(function).measure(texts())
        assert "\n" not in str(found.value)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("own = 3", "{path}:own: 3 is no metric: it must be a function of two lists of sentences"),
            ("def bleu_4(h, r): return 1\nown = bleu_4", "{path}:own: there is a metric 'bleu_4' already"),
            ("def own_error(h, r): return 1\nown = own_error", "{path}:own: 'own_error' cannot be the name"),
            ("own = lambda h, r: 1", "{path}:own: '<lambda>' cannot be the name of a metric"),
            ("import nothing_of_that_name", "cannot import"),
            ("", "cannot import"),
        ],
    )
    def test_what_is_no_metric_is_refused(self, tmp_path, content, message):
        path = tmp_path / "own.py"
        path.write_text(content)
        with pytest.raises(ValueError, match=f"^--metrics: {re.escape(message.format(path=path))}"):
            load_metrics([f"{path}:own"], "--metrics")


class TestCriteria:
    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("nll_test", "nll_test is called nll here"),
            ("blue", "no metric 'blue' with a better side; choose nll, jeffreys"),
            ("mean_length", "no metric 'mean_length' with a better side"),
            ("jeffreys", "jeffreys needs an oracle, which --corpus.kind oracle alone has; choose nll"),
            ("mauve", "mauve needs features, which training has not"),
            ("reward", "the discriminator's reward changes as it learns; choose nll"),
        ],
    )
    def test_one_that_training_cannot_follow_is_refused(self, name, message):
        with pytest.raises(ValueError, match=re.escape(message)):
            check_criterion(name, with_oracle=False)

    @pytest.mark.parametrize("name", ["nll", "bleu_f1_5", "reverse_perplexity", "ms_jaccard_4"])
    def test_the_others_are_accepted(self, name):
        check_criterion(name, with_oracle=False)
        check_criterion("jeffreys", with_oracle=True)
        check_criterion("reward", with_oracle=False, with_fixed_reward=True)


class TestWhatMayBeCompared:
    FULL = Signature(hypotheses=10_000, references=1_000, tokenizer="treebank", case="kept", temperature=1.0)

    OVER_REFERENCES = ("nll_test", "backward_bleu_4", "reverse_perplexity")
    NAMES = (*OVER_REFERENCES, "bleu_4", "self_bleu_4", "distinct_2", "forward_perplexity")

    @pytest.mark.parametrize(
        ("changes", "incomparable"),
        [
            ({}, ()),
            ({"temperature": 0.5, "top_k": 5}, ()),
            ({"hypotheses": 2_000}, ("self_bleu_4", "backward_bleu_4", "distinct_2", "reverse_perplexity")),
            ({"references": 500}, ("bleu_4", "forward_perplexity", *OVER_REFERENCES)),
            ({"tokenizer": "whitespace"}, NAMES),
        ],
    )
    def test_sizes_count_where_values_depend_on_them(self, changes, incomparable):
        """With more samples self-BLEU rises, and BLEU with more references; a likelihood has no such bias."""
        other = dataclasses.replace(self.FULL, **changes)
        for name in self.NAMES:
            reason = EVALUATION[name].why_incomparable(self.FULL, other)
            assert bool(reason) == (name in incomparable), name
        of_both = EVALUATION["ms_jaccard_4"].why_incomparable(self.FULL, other)
        assert bool(of_both) == bool(changes.keys() - {"temperature", "top_k"})

    def test_the_reason_is_in_words(self):
        other = dataclasses.replace(self.FULL, hypotheses=2_000, case="lower")
        found = EVALUATION["unique"].why_incomparable(self.FULL, other)
        assert found == "case kept and lower, hypotheses 10000 and 2000"
        assert find_metric("of_a_user").why_incomparable(self.FULL, other) == found
