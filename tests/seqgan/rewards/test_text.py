"""Rewards of text: what a function is given, and what happens when it fails."""

import asyncio
import re

import numpy as np
import pytest
import torch

from seqgan.rewards.text import TextReward
from seqgan.text.token_batch import TokenBatch

WORDS = ["a", "b", "c", "red", "<eos>"]


class Words:
    """Ids to words, and a count of how often it was asked."""

    def __init__(self):
        self.calls = 0

    def decode(self, ids):
        self.calls += 1
        return " ".join(WORDS[token] for token in ids if token != 4)


TOKENS = torch.tensor([[0, 3, 4], [1, 4, 3], [0, 3, 4], [2, 2, 2]])  # a red, b, a red, c c c
MASK = torch.tensor([[True, True, True], [True, True, False], [True, True, True], [True, True, True]])
BATCH = TokenBatch(TOKENS, MASK)
PROMPT = TokenBatch(
    torch.tensor([[0, 1], [2, 0], [3, 3], [1, 1]]), torch.tensor([[True, True], [True, False]] * 2)
)
RICH = TokenBatch(TOKENS, MASK, prompt=PROMPT, columns={"answer": ["red", "blue", "c", "c"]})


def make(function, language=None):
    return TextReward(function, language=language or Words(), name="mine.py:f")


def test_a_function_of_completions_scores_every_row():
    assert make(lambda completions: [text.count("red") for text in completions])(BATCH).tolist() == [
        1,
        0,
        1,
        0,
    ]
    assert make(lambda texts: [float(len(text)) for text in texts])(BATCH).tolist() == [5, 1, 5, 5]
    assert make(lambda completions: np.arange(3, dtype=np.float32))(BATCH).tolist() == [0, 1, 0, 2]
    assert make(lambda completions: torch.arange(3))(BATCH).dtype == torch.float32


def test_equal_sequences_are_decoded_and_scored_once_where_nothing_else_tells_them_apart():
    seen, language = [], Words()
    make(lambda completions: seen.append(completions) or [0.0] * len(completions), language)(BATCH)
    assert seen == [["a red", "b", "c c c"]]
    assert language.calls == 3
    make(lambda completions: seen.append(completions) or [0.0] * len(completions))(RICH)
    assert seen[1] == ["a red", "b", "a red", "c c c"]


def test_columns_go_to_those_who_name_them():
    def right(completions, answer):
        return [float(a in text) for text, a in zip(completions, answer, strict=True)]

    assert make(right)(RICH).tolist() == [1, 0, 0, 1]
    alone = TokenBatch(
        TOKENS, MASK, columns={"answer": ["red", "b", "blue", "c"]}
    )  # equal texts, two answers
    assert make(right)(alone).tolist() == [1, 1, 0, 1]
    assert make(lambda completions, missing=None: [float(missing is None)] * 4)(RICH).tolist() == [1] * 4


def test_a_function_written_for_trl_works_unchanged():
    """The examples of TRL's documentation take keywords, with or without **kwargs."""
    seen = {}

    def reward_len(completions, **kwargs):
        seen.update(kwargs)
        return [-abs(20 - len(completion)) for completion in completions]

    def reward_func(prompts, completions, answer, **kwargs):
        assert "completion_ids" in kwargs
        return [len(p) for p in prompts]

    def everything(**kwargs):
        return [float(len(ids)) for ids in kwargs["completion_ids"]]

    assert make(reward_len)(RICH).tolist() == [-15, -19, -15, -15]
    extras = {name: seen.pop(name) for name in ("trainer_state", "log_metric", "log_extra")}
    assert extras["trainer_state"].global_step == 0
    assert seen == {
        "prompts": ["a b", "c", "red red", "b"],
        "completion_ids": [[0, 3, 4], [1, 4], [0, 3, 4], [2, 2, 2]],
        "answer": ["red", "blue", "c", "c"],
    }
    assert make(reward_func)(RICH).tolist() == [3, 1, 7, 1]
    assert make(everything)(RICH).tolist() == [3, 2, 3, 3]
    make(reward_len)(BATCH)
    assert seen["prompts"] == ["", "", ""]


def test_what_a_function_for_trl_may_ask_for_besides():
    """An async function that reads the training's state and logs; None is where it does not apply."""

    async def judged(completions, trainer_state, log_metric, log_extra, **kwargs):
        await asyncio.sleep(0)
        log_extra("texts", completions)
        log_metric("accuracy", trainer_state.global_step)
        log_metric("accuracy", trainer_state.max_steps)
        return [None if text == "b" else 1.0 for text in completions]

    reward = TextReward(judged, language=Words(), name="judged", max_steps=5)
    assert reward(BATCH).tolist() == [1, 0, 1, 1]
    assert reward.scores(BATCH).isnan().tolist() == [False, True, False, False]
    assert reward.finish_step() == {"reward/accuracy": 2.5}  # of both calls
    again = TextReward(judged, language=Words(), name="judged", max_steps=5)
    reward(BATCH)
    again.load_state_dict(reward.state_dict())
    again(BATCH)
    reward(BATCH)
    assert again.finish_step() == reward.finish_step() == {"reward/accuracy": 3.0}
    assert again.finish_step() == {}


@pytest.mark.parametrize(("name", "value"), [("a", float("nan")), ("a", "b"), (3, 1.0)])
def test_what_cannot_be_logged_is_named(name, value):
    def logs(completions, log_metric):
        log_metric(name, value)
        return [1.0] * len(completions)

    with pytest.raises(ValueError, match="reward mine.py:f: raised TypeError: log_metric takes a name and a"):
        make(logs)(BATCH)


def bad_for_b(completions):
    if "b" in completions:
        raise ZeroDivisionError("division by zero\nand more")
    return [1.0] * len(completions)


@pytest.mark.parametrize(
    ("function", "complaint"),
    [
        (bad_for_b, "raised ZeroDivisionError: division by zero (completion 'b')"),
        (
            lambda completions, colour: [],
            "takes 'colour', which is no column; there are completion_ids, completions, log_extra",
        ),
        (lambda completions: [1.0], "returned 1 numbers for 3 completions"),
        (lambda completions: None, "returned NoneType; it must return a list of numbers"),
        (lambda completions: "abc", "returned str"),
        (lambda completions: 1.0, "returned float"),
        (lambda completions: {1: 2, 3: 4, 5: 6}, "returned dict"),
        (lambda completions: [1.0, "good", 2.0], "returned 'good' for the completion 'b'"),
        (lambda completions: [1.0, 1.0, float("nan")], "returned nan for the completion 'c c c'"),
        (lambda completions: [float("-inf"), 1.0, 2.0], "returned -inf for the completion 'a red'"),
        (lambda completions: [1.0, 1e39, 2.0], "returned 1e+39 for the completion 'b'"),
        (lambda completions: [10**400] * 3, "returned 1000000"),
        (lambda completions: [10**5000] * 3, "returned a int for the completion 'a red'"),
        (lambda completions: completions.clear() or [], "returned 0 numbers for 3 completions"),
        (lambda completions: [[1.0], [1.0], [1.0]], "returned [1.0] for the completion 'a red'"),
    ],
)
def test_whatever_goes_wrong_is_one_line_with_the_first_bad_completion(function, complaint):
    with pytest.raises(ValueError, match=re.escape(complaint)) as caught:
        make(function)(BATCH)
    message = str(caught.value)
    assert message.startswith("reward mine.py:f: ")
    assert "\n" not in message
    assert "learning rate" not in message


def test_long_and_odd_completions_are_shown_short_and_plain():
    class Odd:
        def decode(self, ids):
            return "\x1b[31m" + "x" * 500

    with pytest.raises(ValueError, match="returned nan") as caught:
        make(lambda completions: [float("nan")], Odd())(BATCH.select(slice(0, 1)))
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_columns_that_are_known_before_the_first_batch():
    def wants(completions, answer, other=None):
        return []

    TextReward(wants, language=Words(), name="r.py:wants", columns=["answer"])
    with pytest.raises(ValueError, match="takes 'answer', which is no column; there are completion_ids, "):
        TextReward(wants, language=Words(), name="r.py:wants", columns=["others"])
    with pytest.raises(ValueError, match="has a column 'log_metric', which is the name of an argument"):
        TextReward(wants, language=Words(), name="r.py:wants", columns=["answer", "log_metric"])

    with pytest.raises(ValueError, match="takes 'answer', which is no column"):
        TextReward(wants, language=Words(), name="r.py:wants", columns=[])


def test_equal_completions_of_other_prompts_are_scored_by_themselves():
    def of_prompt(completions, prompts):
        return [float(len(prompt)) for prompt in prompts]

    batch = TokenBatch(TOKENS, MASK, prompt=PROMPT)
    assert batch.tokens[0].tolist() == batch.tokens[2].tolist()
    assert make(of_prompt)(batch).tolist() == [float(len(prompt)) for prompt in ("a b", "c", "red red", "b")]


def test_a_function_that_leaves_the_program_is_named():
    def leaves(completions):
        raise SystemExit(0)

    with pytest.raises(ValueError, match="mine.py:f: raised SystemExit: 0"):
        make(leaves)(BATCH)
