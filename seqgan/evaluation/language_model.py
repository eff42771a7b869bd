"""Perplexity of text under a pretrained causal language model, in a local folder of Hugging Face's format.

The model judges fluency and knows nothing of the task, so a collapsed generator does well by it: look at
diversity beside it, and at the perplexity of the real text. Its tokens are its own: only values of the same
model are comparable.

Needs the package ``transformers`` (an optional extra). Nothing is downloaded, no code of the folder is run,
and weights are read from safetensors files only, so that nothing is unpickled.
"""

import contextlib
import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float64, Int, Int64
from torch import Tensor, nn

from seqgan.evaluation.likelihood import perplexity
from seqgan.evaluation.signature import Estimate, Score, Signature
from seqgan.models.inference import inference

MAX_LOGITS = 2**26  # at once: 256 MiB in float32


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A loaded model; see :func:`load_language_model`."""

    name: str
    """For signatures: the folder's."""
    model: Any
    tokenizer: Any
    start_id: int
    """Read before each sentence, and never scored."""
    max_length: int | None
    """Most tokens of a sentence: as many positions as the model has; None without a limit."""

    def encode(self, sentences: Sequence[str]) -> list[list[int]]:
        """Cut each sentence into the model's tokens, without special ones.

        Raises:
            ValueError: A sentence is too long for the model, or its tokenizer fails.
        """
        if not sentences:
            return []
        rows: list[list[int]]
        with _named(self.name):
            rows = self.tokenizer(list(sentences), add_special_tokens=False, verbose=False)["input_ids"]
        for sentence, row in zip(sentences, rows, strict=True):
            if self.max_length is not None and len(row) > self.max_length:
                raise ValueError(
                    f"--language-model: a sentence has {len(row)} tokens of {self.name}, which takes "
                    f"{self.max_length}; leave it out or choose a model that reads more: {sentence[:60]} ..."
                )
        return rows

    def sentence_nll(self, sentences: Sequence[str]) -> tuple[Float64[Tensor, "N"], Int64[Tensor, "N"]]:
        """Return each sentence's negative log-likelihood in nats (0 of an empty one) and number of tokens.

        Every token counts, the first one given the start token alone; an end of the sentence is not
        predicted, because such models mark the ends of documents only. Sentences of similar length
        share a batch; padding comes last, where a causal model does not see it, and is masked too.

        Raises:
            ValueError: A sentence is too long for the model, or the model fails or gives NaN.
        """
        rows = self.encode(sentences)
        lengths = torch.tensor([len(row) for row in rows], dtype=torch.int64)
        sums = torch.zeros(len(rows), dtype=torch.float64)
        with inference(self.model):
            for places in self._batches(lengths):
                tokens = nn.utils.rnn.pad_sequence(
                    [torch.tensor([self.start_id, *rows[i]]) for i in places],
                    batch_first=True,
                    padding_value=self.start_id,
                )
                mask = torch.arange(tokens.shape[1] - 1) < lengths[places, None]
                with _named(self.name):
                    sums[places] = self._batch_nll(tokens, mask).cpu()
        if not sums.isfinite().all():
            raise ValueError(f"--language-model: {self.name} gives likelihoods that are not finite")
        return sums, lengths

    def perplexity(self, sentences: Sequence[str]) -> Estimate:
        """Return exp of the negative log-likelihood per token, over all tokens of all sentences.

        Raises:
            ValueError: There is no token; or as :meth:`sentence_nll`.
        """
        return perplexity(*self.sentence_nll(sentences))

    def _batches(self, lengths: Int64[Tensor, "N"]) -> Iterator[Int64[Tensor, "B"]]:
        """Yield places of sentences, the longest first, as many at once as their logits may be."""
        order = lengths.argsort(descending=True, stable=True)
        order = order[lengths[order] > 0]
        size = _vocabulary_size(self.model)
        while len(order):
            rows = max(1, MAX_LOGITS // (size * int(lengths[order[0]])))
            yield order[:rows]
            order = order[rows:]

    def _batch_nll(self, tokens: Int[Tensor, "B T1"], mask: Bool[Tensor, "B T"]) -> Float64[Tensor, "B"]:
        """Sum over each row's tokens behind the first where ``mask`` is True."""
        tokens, mask = tokens.to(self.model.device), mask.to(self.model.device)
        inputs, targets = tokens[:, :-1], tokens[:, 1:]
        logits = self.model(input_ids=inputs, attention_mask=mask.long(), use_cache=False).logits
        token_nll = nn.functional.cross_entropy(logits.float().transpose(1, 2), targets, reduction="none")
        return token_nll.double().masked_fill(~mask, 0).sum(1)


def load_language_model(folder: Path, device: torch.device | str = "cpu") -> LanguageModel:
    """Load a causal language model in float32, with its tokenizer, from a folder of ``save_pretrained``.

    The start token is the tokenizer's BOS, or its EOS where it has no BOS (such models are trained on
    documents that an EOS divides).

    Raises:
        ValueError: The package is not installed; or the folder is not there, is damaged, or lacks a model,
            weights in safetensors, a tokenizer, or a start token.
    """
    if not _is_model_folder(folder):
        raise ValueError(
            f"--language-model: {folder} must be a folder that holds config.json, the tokenizer's files and "
            "weights in *.safetensors, as save_pretrained of transformers writes them"
        )
    try:
        package = importlib.import_module("transformers")
    except ImportError as error:
        raise ValueError(
            f"--language-model: needs the package transformers: pip install transformers ({error})"
        ) from error
    options = {"local_files_only": True, "trust_remote_code": False}
    with _named(str(folder)), _no_progress_bars(package):
        model, info = package.AutoModelForCausalLM.from_pretrained(
            folder, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **options
        )
        tokenizer = package.AutoTokenizer.from_pretrained(folder, **options)
    if info["missing_keys"]:
        missing = ", ".join(sorted(info["missing_keys"])[:3])
        raise ValueError(f"--language-model: {folder} is no causal language model: it lacks {missing}")
    num_words, num_outputs = len(tokenizer) - len(tokenizer.all_special_ids), _vocabulary_size(model)
    if (
        num_words < 1 or len(tokenizer) > num_outputs
    ):  # transformers makes an empty one up where there is none
        raise ValueError(
            f"--language-model: {folder} has no tokenizer of the model's: {len(tokenizer)} tokens, and the "
            f"model has {num_outputs}"
        )
    start_id = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    if start_id is None:
        raise ValueError(f"--language-model: the tokenizer of {folder} has neither a BOS nor an EOS token")
    max_length = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return LanguageModel(folder.resolve().name, model.to(device), tokenizer, start_id, max_length)


def score_by_language_model(
    model: LanguageModel, hypotheses: Sequence[str], references: Sequence[str], *, case: str | None = None
) -> Score:
    """Return the perplexity of the generated sentences, and beside it that of the real ones.

    Raises:
        ValueError: One side has no token, or a sentence is too long for the model.
    """
    estimates = {
        "language_model_perplexity": model.perplexity(hypotheses),
        "language_model_perplexity_real": model.perplexity(references),
    }
    signature = Signature(
        hypotheses=len(hypotheses), references=len(references), case=case, language_model=model.name
    )
    return Score.from_estimates(estimates, signature)


def _is_model_folder(folder: Path) -> bool:
    try:
        return (folder / "config.json").is_file() and any(folder.glob("*.safetensors"))
    except (OSError, ValueError):  # a name that is too long or holds a zero, a folder that may not be read
        return False


@contextlib.contextmanager
def _named(model: str) -> Iterator[None]:
    """Turn whatever somebody else's code and files raise into one line that names the model."""
    try:
        yield
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(f"--language-model: {model} cannot be used: {reason}") from error


def _vocabulary_size(model: Any) -> int:
    return int(model.config.get_text_config().vocab_size)


@contextlib.contextmanager
def _no_progress_bars(package: Any) -> Iterator[None]:
    """Keep transformers from drawing; its setting is put back."""
    setting = package.utils.logging
    enabled = setting.is_progress_bar_enabled()
    setting.disable_progress_bar()
    try:
        yield
    finally:
        if enabled:
            setting.enable_progress_bar()
