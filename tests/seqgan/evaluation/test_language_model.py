"""Perplexity under a local Hugging Face model against one sentence and one token at a time."""

import importlib.util
import json
import math
import shutil
import socket
import sys

import pytest
import torch

from seqgan.cli import main
from seqgan.evaluation import language_model
from seqgan.evaluation.language_model import load_language_model, score_by_language_model

HERE = importlib.util.find_spec("transformers") is not None
needs_transformers = pytest.mark.skipif(not HERE, reason="the optional package transformers is not installed")
WORDS = ["the", "cat", "sat", "on", "a", "mat", ".", "dog", "ran"]
SENTENCES = [
    "the cat sat on a mat .",
    "a dog",
    "",
    "ran",
    "xyzzy the xyzzy",
    "on on on on on on on on on on on on",
    "a dog ran",
]
LONGEST = 12


def save_tokenizer(folder, *, bos="<s>", eos="</s>"):
    tokenizers, transformers = (importlib.import_module(name) for name in ("tokenizers", "transformers"))
    vocabulary = {word: number for number, word in enumerate(["<unk>", "<s>", "</s>", *WORDS])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    options = {"bos_token": bos, "eos_token": eos, "unk_token": "<unk>"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **options).save_pretrained(folder)


@pytest.fixture(scope="module", name="folder")
def tiny_gpt2(tmp_path_factory):
    """Random weights, far from uniform, with dropout."""
    transformers = importlib.import_module("transformers")
    folder = tmp_path_factory.mktemp("models") / "tiny-gpt2"
    config = transformers.GPT2Config(
        vocab_size=12, n_positions=LONGEST, n_embd=8, n_layer=2, n_head=2, initializer_range=0.6
    )
    torch.manual_seed(0)
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    save_tokenizer(folder)
    return folder


@pytest.fixture(name="copy")
def copied_folder(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


def naive_nll(folder, sentence, start="<s>"):
    """One token after another, each from a pass over what stands before it."""
    transformers = importlib.import_module("transformers")
    model = transformers.GPT2LMHeadModel.from_pretrained(folder).eval()
    vocabulary = ["<unk>", "<s>", "</s>", *WORDS]
    ids = [vocabulary.index(w if w in vocabulary else "<unk>") for w in sentence.split()]
    read, total = [vocabulary.index(start)], 0.0
    for token in ids:
        with torch.no_grad():
            logits = model(torch.tensor([read])).logits[0, -1].double()
        total -= float(logits.log_softmax(0)[token])
        read.append(token)
    return total, len(ids)


@needs_transformers
@pytest.mark.parametrize("rows", [1, 2, 100])
def test_equal_to_one_sentence_at_a_time_whatever_the_batches(folder, monkeypatch, rows):
    monkeypatch.setattr(language_model, "MAX_LOGITS", 12 * LONGEST * rows)
    model = load_language_model(folder)
    sums, lengths = model.sentence_nll(SENTENCES)
    naive = [naive_nll(folder, sentence) for sentence in SENTENCES]
    assert sums.tolist() == pytest.approx([nll for nll, _ in naive], abs=1e-4)
    assert lengths.tolist() == [number for _, number in naive] == [7, 2, 0, 1, 3, 12, 3]
    estimate = model.perplexity(SENTENCES)
    mean = sum(nll for nll, _ in naive) / 28  # weighted by tokens, not by sentences
    assert estimate.value == pytest.approx(math.exp(mean), rel=1e-5)
    ratios = [nll - mean * number for nll, number in naive]
    error = math.sqrt(sum(r * r for r in ratios) / 6 * 7) / 28
    assert estimate.standard_error == pytest.approx(estimate.value * error, rel=1e-4)


@needs_transformers
def test_scored_without_dropout_in_float32_and_the_same_again(copy):
    transformers = importlib.import_module("transformers")
    transformers.GPT2LMHeadModel.from_pretrained(copy).bfloat16().save_pretrained(copy)
    model = load_language_model(copy)
    assert {p.dtype for p in model.model.parameters()} == {torch.float32}
    model.model.train()
    assert torch.equal(model.sentence_nll(SENTENCES)[0], model.sentence_nll(SENTENCES)[0])


@needs_transformers
@pytest.mark.parametrize("rows", [1, 2, 100])
def test_batches_hold_every_sentence_once_and_no_more_logits_than_allowed(folder, monkeypatch, rows):
    monkeypatch.setattr(language_model, "MAX_LOGITS", 12 * 5 * rows)
    model, shapes = load_language_model(folder), []

    def record(module, arguments, options):
        shapes.append(tuple(options["input_ids"].shape))

    model.model.register_forward_pre_hook(record, with_kwargs=True)
    lengths = [3, 0, 9, 1, 5, 5, 2, 12]
    assert model.sentence_nll(["a " * n for n in lengths])[1].tolist() == lengths
    assert sum(number for number, _ in shapes) == 7
    assert [longest for _, longest in shapes] == sorted((longest for _, longest in shapes), reverse=True)
    assert all(number == 1 or number * longest <= 5 * rows for number, longest in shapes)


@needs_transformers
def test_both_sides_are_scored_and_signed(folder):
    score = score_by_language_model(load_language_model(folder), SENTENCES, ["the cat", "a dog"], case="kept")
    assert str(score.signature).startswith("hypotheses:7|references:2|case:kept|language_model:tiny-gpt2|")
    total = sum(naive_nll(folder, sentence)[0] for sentence in ("the cat", "a dog"))
    assert score.values["language_model_perplexity_real"] == pytest.approx(math.exp(total / 4), rel=1e-5)
    assert score.standard_errors.keys() == score.values.keys()


@needs_transformers
def test_the_sentence_starts_with_bos_or_else_eos(copy):
    save_tokenizer(copy, bos=None)
    sums, _ = load_language_model(copy).sentence_nll(["the cat"])
    assert float(sums) == pytest.approx(naive_nll(copy, "the cat", "</s>")[0], abs=1e-4)
    save_tokenizer(copy, bos=None, eos=None)
    with pytest.raises(ValueError, match="the tokenizer of .*copy has neither a BOS nor an EOS token"):
        load_language_model(copy)


@needs_transformers
def test_too_long_or_nothing_is_named(folder):
    model = load_language_model(folder)
    with pytest.raises(ValueError, match="a sentence has 13 tokens of tiny-gpt2, which takes 12; .*: on on"):
        model.perplexity(["a", "on " * 13])
    for nothing in ([], ["", " "]):
        with pytest.raises(ValueError, match="no token"):
            model.perplexity(nothing)
    assert math.isnan(model.perplexity(["a dog"]).standard_error)


@needs_transformers
def test_nothing_is_fetched_and_nothing_drawn(folder, monkeypatch, capfd):
    def refuse(*arguments, **options):
        raise AssertionError("a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    load_language_model(folder)
    assert capfd.readouterr() == ("", "")
    assert importlib.import_module("transformers").utils.logging.is_progress_bar_enabled()


def make_pickled(folder):
    transformers = importlib.import_module("transformers")
    model = transformers.GPT2LMHeadModel.from_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def make_pickled_beside_other_tensors(folder):
    weights = (folder / "model.safetensors").read_bytes()
    make_pickled(folder)
    (folder / "other.safetensors").write_bytes(weights)


def make_damaged(folder):
    (folder / "model.safetensors").write_bytes(b"{")


def make_headless(folder):
    """An encoder has no weights for the prediction of the next token."""
    transformers = importlib.import_module("transformers")
    config = transformers.BertConfig(
        vocab_size=12, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    config.is_decoder = True
    transformers.BertModel(config).save_pretrained(folder)


def make_without_tokenizer(folder):
    for path in folder.glob("tokenizer*"):
        path.unlink()


def make_code(folder):
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.C", "AutoModelForCausalLM": "own.M"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text(f"open({str(folder / 'was-run')!r}, 'w')\n")


@needs_transformers
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (make_pickled, "must be a folder that holds config.json, .* weights in \\*.safetensors"),
        (make_pickled_beside_other_tensors, "cannot be used: OSError: .*safetensors"),
        (make_damaged, "cannot be used: "),
        (make_headless, "is no causal language model: it lacks "),
        (make_without_tokenizer, "(cannot be used: |has no tokenizer of the model's: [0-9]+ tokens)"),
        (make_code, "cannot be used: "),
    ],
)
def test_a_folder_that_will_not_do_is_named(copy, damage, message):
    damage(copy)
    with pytest.raises(ValueError, match=f"--language-model: .*copy {message}"):
        load_language_model(copy)
    assert not (copy / "was-run").exists()


def change_json(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def make_heads_negative(folder):
    change_json(folder / "config.json", n_head=-1)


def make_words_for_numbers(folder):
    change_json(folder / "tokenizer_config.json", model_max_length="x")


def make_activation_absent(folder):
    change_json(folder / "config.json", activation_function=None)


def make_weights_infinite(folder):
    safetensors = importlib.import_module("safetensors.torch")
    weights = safetensors.load_file(folder / "model.safetensors")
    weights["transformer.wte.weight"][3] = math.nan
    safetensors.save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@needs_transformers
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "damage", [make_heads_negative, make_words_for_numbers, make_activation_absent, make_weights_infinite]
)
def test_a_folder_that_fails_late_is_named_in_one_line(copy, damage):
    damage(copy)
    with pytest.raises(ValueError, match="--language-model: .*copy") as found:
        score_by_language_model(load_language_model(copy), SENTENCES, SENTENCES)
    assert "\n" not in str(found.value)


@needs_transformers
def test_on_the_command_line(folder, tmp_path, capfd):
    (tmp_path / "h.txt").write_text("\n".join(SENTENCES).upper() + "\n")
    (tmp_path / "r.txt").write_text("the cat\n\na dog ran\n")
    command = ["evaluate", "--hypotheses", str(tmp_path / "h.txt"), "--references", str(tmp_path / "r.txt")]
    command += ["--language-model", str(folder), "--device", "cpu"]
    assert main([*command, "--lower-case", "--json"]) == 0
    output, errors = capfd.readouterr()
    results = json.loads(output)
    assert errors == "" and list(results) == ["h.txt", "h.txt, tiny-gpt2"]
    expected = score_by_language_model(load_language_model(folder), SENTENCES, ["the cat", "a dog ran"])
    found = results["h.txt, tiny-gpt2"]
    assert expected.values.items() <= found.items()
    assert "hypotheses:7|references:2|case:lower|language_model:tiny-gpt2|" in found["signature"]
    assert main(command) == 0
    output = capfd.readouterr().out
    assert "perplexity by the language model (lower)" in output
    assert "signature of h.txt, tiny-gpt2: hypotheses:7|references:2|case:kept|" in output


def test_without_the_package_or_the_folder(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    for absent in (tmp_path / "absent", tmp_path, tmp_path / ("x" * 300)):
        with pytest.raises(
            ValueError, match=f"--language-model: {absent} must be a folder that holds config.json"
        ):
            load_language_model(absent)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ValueError, match="--language-model: needs .* pip install transformers"):
        load_language_model(tmp_path)
