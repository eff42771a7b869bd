"""`evaluate` of files: sentences, protocols, features, intervals; and input at the edge of sense."""

import json
import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from seqgan.evaluation import frechet
from seqgan.evaluation.frechet import frechet_distance
from seqgan.evaluation.ngrams import number_words
from seqgan.evaluation.protocols import PROTOCOLS, score_by_protocol

HYPOTHESES = [
    "The cat sat on the mat .",
    "a dog ran in the park .",
    "the cat ran on the mat .",
    "a Bird .",
] * 60
REFERENCES = [
    "the cat sat on a mat .",
    "A dog ran in the green park .",
    "a bird sat in the park .",
    "one .",
] * 150


@pytest.fixture(name="evaluate")
def evaluate_command(cli, tmp_path):
    """Runs it on lists of lines; gives what the command prints."""

    def run(*flags, hypotheses=HYPOTHESES, references=REFERENCES, fails=False):
        for name, lines in (("h.txt", hypotheses), ("r.txt", references)):
            (tmp_path / name).write_text("".join(f"{line}\n" for line in lines or []))
        texts = [] if hypotheses is None else ["--hypotheses", "h.txt", "--references", "r.txt"]
        if fails:
            return cli.fails("evaluate", *texts, *flags)
        output = cli("evaluate", *texts, *flags)
        if "--json" not in flags:
            return output
        found = json.loads(output)
        return found if len(found) > 1 else next(iter(found.values()))

    return run


def test_json_holds_an_object_for_each_column_however_many(cli, tmp_path):
    for name in ("h.txt", "r.txt"):
        (tmp_path / name).write_text("a b\nc d\n")
    command = ["evaluate", "--hypotheses", "h.txt", "--references", "r.txt", "--json"]
    for more, columns in (([], ["h.txt"]), (["--protocol", "all"], ["h.txt", "h.txt, all"])):
        found = json.loads(cli(*command, *more))
        assert list(found) == columns and all("bleu_2" in values for values in found.values())


def test_copies_of_the_training_text_are_looked_for_where_it_is_given(evaluate, tmp_path):
    (tmp_path / "t.txt").write_text("the cat sat on the mat .\n\nA dog\na Bird .\n")
    flags = ("--tokenizer", "whitespace", "--json")
    assert not {"novelty", "longest_copied"} & evaluate(*flags).keys()
    found = evaluate(*flags, "--training", "t.txt")
    assert found["novelty"] == 0.75  # of four sentences only the last is there, letter by letter
    assert found["longest_copied"] == (6 + 1 + 4 + 3) / 4
    assert evaluate(*flags, "--training", "t.txt", "--lower-case")["novelty"] == 0.5
    assert {name: found[name] for name in evaluate(*flags)} == evaluate(*flags)


# Protocols.


@pytest.mark.slow
def test_every_protocol_is_a_column_of_its_own_beside_ours(evaluate):
    flags = [word for name in PROTOCOLS for word in ("--protocol", name)]
    results = evaluate("--tokenizer", "whitespace", "--json", *flags)
    assert list(results) == ["h.txt", *(f"h.txt, {name}" for name in PROTOCOLS)]
    for name, protocol in PROTOCOLS.items():
        texts = (
            [(s.lower() if protocol.lower_case else s).split() for s in lines]
            for lines in (HYPOTHESES, REFERENCES)
        )
        expected = score_by_protocol(name, *number_words(*texts), tokenizer="whitespace")
        assert results[f"h.txt, {name}"] == expected.as_json()
        assert f"protocol:{name}|" in str(expected.signature)
    ours, everything = results["h.txt"], results["h.txt, all"]
    assert all(ours[name] == value for name, value in everything.items() if name != "signature")
    assert len({json.dumps(column) for column in results.values()}) == 4
    assert evaluate("--tokenizer", "whitespace", "--json") == ours


def test_a_protocol_decides_for_itself_about_the_case(evaluate):
    flags = ("--protocol", "first-200-lower", "--protocol", "all", "--json")
    kept, lower = evaluate(*flags), evaluate(*flags, "--lower-case")
    assert kept["h.txt"] != lower["h.txt"]
    for name in ("h.txt, first-200-lower", "h.txt, all"):
        assert kept[name] == lower[name]
    assert "case:lower" in kept["h.txt, first-200-lower"]["signature"]


def test_the_table_has_a_signature_for_every_column(evaluate):
    output = evaluate("--protocol", "first-500")
    assert "| h.txt, first-500 |" in output
    assert "\nsignature of h.txt, first-500: protocol:first-500|hypotheses:240|references:500|" in output


# Features.


def save_features(folder):
    rng = np.random.default_rng(0)
    features = rng.standard_normal((30, 4)), rng.standard_normal((20, 4)) + 1
    for name, array in zip(("a.npy", "b.npy"), features, strict=True):
        np.save(folder / name, array)
    return features, ("--hypothesis-features", "a.npy", "--reference-features", "b.npy")


def test_features_alone_and_beside_text(evaluate, tmp_path):
    features, flags = save_features(tmp_path)
    alone = evaluate(*flags, "--json", hypotheses=None, references=[])
    assert alone["frechet_distance"] == frechet_distance(*features)
    made_of = "hypothesis_features:a.npy|reference_features:b.npy|dimensions:4|"
    assert alone["signature"].startswith(f"hypotheses:30|references:20|{made_of}")
    beside = evaluate(*flags, "--json")
    assert beside == {"h.txt": evaluate("--json"), "a.npy": alone}
    output = evaluate(*flags)
    assert "Fréchet distance of features (lower)" in output
    assert f"signature of a.npy: hypotheses:30|references:20|{made_of}" in output


def test_mauve_is_a_flag_and_signs_its_version(evaluate, tmp_path, monkeypatch):
    _, flags = save_features(tmp_path)
    monkeypatch.setitem(sys.modules, "mauve", None)
    error = evaluate(*flags, "--mauve", fails=True)
    assert error.startswith("seqgan: error: MAUVE needs the package mauve-text: pip install mauve-text")
    package = SimpleNamespace(compute_mauve=lambda **options: SimpleNamespace(mauve=0.25))
    monkeypatch.setitem(sys.modules, "mauve", package)
    monkeypatch.setattr(frechet.importlib.metadata, "version", {"mauve-text": "9.8.7"}.__getitem__)
    result = evaluate(*flags, "--mauve", "--json", hypotheses=None, references=[])
    assert result["mauve"] == 0.25
    assert "|dimensions:4|mauve:9.8.7|seed:0|" in result["signature"]


# Intervals.


@pytest.mark.slow
def test_intervals_are_shown_and_signed_where_they_are_asked_for(evaluate):
    values = evaluate("--json", "--confidence", "0.9")
    assert values["bleu_2_low"] < values["bleu_2"] < values["bleu_2_high"]
    half = (values["bleu_2_high"] - values["bleu_2_low"]) / 2
    assert half == pytest.approx(1.645 * values["bleu_2_error"], rel=0.1)
    assert "distinct_2_low" not in values
    assert "|confidence:0.9|resamples:1000|" in values["signature"]
    plain = evaluate("--json")
    assert not any(name.endswith("_low") for name in plain) and "confidence" not in plain["signature"]
    output = evaluate("--confidence", "0.9")
    shown = f"{values['bleu_2']:.4f} [{values['bleu_2_low']:.4f}, {values['bleu_2_high']:.4f}] |"
    assert shown in output
    assert len({len(line) for line in output.splitlines() if line.startswith("|")}) == 1


# The edge of what makes sense.

EDGES = {
    "empty hypotheses": (["", "a cat .", ""], ["a cat .", "a dog ."]),
    "one reference": (["a cat .", "a dog ."], ["a cat sat ."]),
    "all equal": (["a cat sat on the mat ."] * 5, ["a cat sat on the mat ."] * 3),
    "one token": (["a", "b", "a"], ["a"]),
    "unknown words": (["x y z", "y z w"], ["a cat .", "a dog ."]),
    "mostly blank references": (["a cat .", "a dog ."], ["", " ", "a cat .", "\t"]),
}


@pytest.mark.parametrize("hypotheses, references", EDGES.values(), ids=EDGES)
def test_every_metric_has_a_finite_value_at_the_edge(evaluate, hypotheses, references):
    flags = [word for name in PROTOCOLS for word in ("--protocol", name)]
    results = evaluate(*flags, "--json", "--confidence", "0.5", hypotheses=hypotheses, references=references)
    for column in results.values():
        for name, value in column.items():
            assert name == "signature" or (math.isfinite(value) and value >= 0), name
    ours = results["h.txt"]
    shares = ("bleu", "self_bleu", "backward_bleu", "bleu_f1", "distinct", "ms_jaccard", "unique", "ngram_js")
    for name in ours:
        if name.startswith(shares) and not name.endswith("_high"):  # estimate and standard error, unbounded
            assert ours[name] <= 1 + 1e-12, name
    assert ours["forward_perplexity"] >= 1 and ours["reverse_perplexity"] >= 1


@pytest.mark.slow
def test_known_values_at_the_edge(evaluate):
    found = {name: evaluate("--json", hypotheses=h, references=r) for name, (h, r) in EDGES.items()}
    equal, unknown, token = (found[name] for name in ("all equal", "unknown words", "one token"))
    for n in range(2, 6):
        assert equal[f"bleu_{n}"] == equal[f"self_bleu_{n}"] == pytest.approx(1, abs=1e-12)
        assert equal[f"distinct_{n}"] == pytest.approx(1 / 5)
        assert equal[f"ms_jaccard_{n}"] == pytest.approx(1)
        assert equal[f"ngram_js_{n}"] == pytest.approx(0, abs=1e-12)
        assert unknown[f"bleu_{n}"] == unknown[f"backward_bleu_{n}"] == unknown[f"bleu_f1_{n}"] == 0
        assert unknown[f"ms_jaccard_{n}"] == 0
        assert token[f"bleu_{n}"] == pytest.approx(0.1 ** (1 - 1 / n) * 2 / 3, abs=1e-9)
        assert token[f"distinct_{n}"] == 0  # there is no n-gram
    assert unknown["ngram_js_2"] == pytest.approx(math.log(2))
    assert found["empty hypotheses"]["mean_length"] == 1
    assert "references:1|" in found["mostly blank references"]["signature"]


@pytest.mark.parametrize(
    ("flags", "texts", "message"),
    [
        ([], (["one ."], REFERENCES), "h.txt: holds one sentence; self-BLEU needs at least two lines"),
        ([], (["", ""], REFERENCES), "h.txt: is empty"),
        ([], (HYPOTHESES, [" ", ""]), "r.txt: is empty"),
        (
            ["--protocol", "texygen"],
            (HYPOTHESES, REFERENCES),
            "--protocol: there is no 'texygen'; choose one",
        ),
        (["--mauve"], (HYPOTHESES, REFERENCES), "--mauve: goes with --hypothesis-features and"),
        (["--device", "cpu"], (HYPOTHESES, REFERENCES), "--device: goes with --run or --language-model only"),
        (
            ["--hypothesis-features", "a.npy"],
            (HYPOTHESES, REFERENCES),
            "evaluate: give either --run, or both",
        ),
        (["--confidence", "1"], (HYPOTHESES, REFERENCES), "--confidence: 1.0 is out of range"),
        (
            ["--language-model", "absent"],
            (HYPOTHESES, REFERENCES),
            "--language-model: absent must be a folder",
        ),
        (["--run", "x", "--protocol", "all"], (None, []), "--protocol: goes with --hypotheses and"),
        (
            ["--hypothesis-features", "a.npy", "--reference-features", "b.npy"],
            (HYPOTHESES, REFERENCES),
            "a.npy: not a readable .npy file",
        ),
    ],
)
def test_wrong_use_is_one_line(evaluate, flags, texts, message):
    error = evaluate(*flags, hypotheses=texts[0], references=texts[1], fails=True)
    assert message in error
