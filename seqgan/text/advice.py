"""Advice on the settings of a corpus, from what its preparation met."""

from collections.abc import Mapping

FEW_SEQUENCES = 1000
FEW_HELD_OUT = 100
MANY_TOKENS = 20_000

Facts = Mapping[str, int | float]


def advise(facts: Facts, tokenizer: str) -> list[str]:
    """Return what the user might change, one line each, from the report of a prepared corpus."""
    rules = (
        _on_format,
        _on_prompts,
        _on_tokenizer,
        _on_unknown_words,
        _on_length,
        _on_vocabulary,
        _on_size,
        _on_copies,
    )
    return [advice for rule in rules for advice in rule(facts, tokenizer)]


def _on_format(facts: Facts, tokenizer: str) -> list[str]:
    if not facts.get("json_lines"):
        return []
    return [
        f"{facts['json_lines']:.0%} of the lines are JSON objects: --corpus.kind table reads prompts and "
        "completions from a file whose name ends with .jsonl"
    ]


def _on_prompts(facts: Facts, tokenizer: str) -> list[str]:
    long_prompts = facts.get("long_prompts", 0)
    if long_prompts <= 0.05 * facts.get("lines", 0):
        return []
    return [
        f"{long_prompts} of {facts['lines']} prompts are longer than --corpus.max-prompt-length; "
        f"99 % have at most {facts['prompt_length_99']} tokens"
    ]


def _on_tokenizer(facts: Facts, tokenizer: str) -> list[str]:
    lone, glued = facts.get("lone_punctuation", 0), facts.get("glued_punctuation", 0)
    if tokenizer == "characters" and facts["train/blank_share"] > 0.4:
        return [
            f"{facts['train/blank_share']:.0%} of the characters are spaces, so the text is cut into tokens "
            "already: --corpus.tokenizer whitespace makes sequences of half the length"
        ]
    if tokenizer == "treebank" and lone > max(0.1, glued):
        return [
            f"{lone:.0%} of the lines have full stops or commas between spaces, so the text is cut into "
            "tokens already: --corpus.tokenizer whitespace keeps them as they are"
        ]
    if tokenizer == "whitespace" and glued > max(0.1, lone):
        return [
            f"{glued:.0%} of the lines have full stops or commas glued to words: --corpus.tokenizer treebank "
            "makes tokens of their own of them"
        ]
    return []


def _on_unknown_words(facts: Facts, tokenizer: str) -> list[str]:
    held_out, train = facts["validation/unknown_share"], facts["train/unknown_share"]
    found = f"{held_out:.1%} of the validation tokens are unknown words"
    if held_out > 0.1 and tokenizer != "characters":
        return [
            f"{found}: --corpus.tokenizer characters suits formulas, molecules, code and scripts without "
            "spaces; prose needs more text"
        ]
    if held_out > 0.02 and train == 0:
        return [f"{found}, and the training part has none to learn from: take --corpus.min-count 2"]
    return []


def _on_length(facts: Facts, tokenizer: str) -> list[str]:
    longest = max(facts[f"{part}/longest"] for part in ("train", "validation", "test"))
    long_sequences = facts.get("long_sequences", 0)
    if long_sequences > 0.05 * facts.get("lines", 0):
        return [
            f"{long_sequences} of {facts['lines']} lines are longer than --corpus.max-length "
            f"{facts['max_length']}; 99 % have at most {facts['length_99']} tokens, the end included"
        ]
    if 1.5 * longest < facts["max_length"]:
        return [
            f"no sequence has more than {longest} tokens, the end included: --corpus.max-length {longest} "
            "takes less time and memory"
        ]
    return []


def _on_vocabulary(facts: Facts, tokenizer: str) -> list[str]:
    if facts["vocabulary_size"] <= MANY_TOKENS:
        return []
    return [
        f"the vocabulary has {facts['vocabulary_size']} tokens, and time and memory grow with it: "
        f"--corpus.max-vocabulary-size {MANY_TOKENS} keeps the most frequent"
    ]


def _on_size(facts: Facts, tokenizer: str) -> list[str]:
    train = facts["train/sequences"]
    if train < FEW_SEQUENCES:
        return [f"{train} training sequences are few: a model soon knows them by heart; add text"]
    return [
        f"{facts[f'{part}/sequences']} {part} sequences are few: figures vary by chance; "
        f"take a larger --corpus.{part}-size"
        for part in ("validation", "test")
        if facts[f"{part}/sequences"] < FEW_HELD_OUT
    ]


def _on_copies(facts: Facts, tokenizer: str) -> list[str]:
    return [
        f"{facts[f'{part}/in_train']} of {facts[f'{part}/sequences']} {part} sequences are also in the "
        "training part, so figures on them reward copying: leave them out of one of the files"
        for part in ("validation", "test")
        if facts[f"{part}/in_train"] > 0.02 * facts[f"{part}/sequences"]
    ]
