"""A reward of rules: regular expressions that a text must hold, and others that it must not."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from jaxtyping import Float
from torch import Tensor

from seqgan.config.kinds import KindSettings
from seqgan.config.ranges import Repeated
from seqgan.rewards.text import Decoder, TextReward
from seqgan.text.token_batch import TokenBatch


@dataclass(frozen=True, kw_only=True)
class PatternRewardSettings(KindSettings):
    """Settings of the reward of rules."""

    kind: str = "pattern"
    required: Annotated[tuple[str, ...], Repeated] = ()
    """A regular expression that must be found in the text; may be given several times."""
    forbidden: Annotated[tuple[str, ...], Repeated] = ()
    """A regular expression that must not be found; may be given several times."""


class PatternReward:
    """The share of the rules that a text keeps.

    Raises:
        ValueError: There is no rule, or one is no regular expression.
    """

    def __init__(self, settings: PatternRewardSettings, *, language: Decoder) -> None:
        self.required = [_compile("required", pattern) for pattern in settings.required]
        self.forbidden = [_compile("forbidden", pattern) for pattern in settings.forbidden]
        if not self.required and not self.forbidden:
            raise ValueError("reward pattern: there is no rule; give required or forbidden expressions")
        self._reward = TextReward(self.kept, language=language, name="pattern")

    def __call__(self, batch: TokenBatch) -> Float[Tensor, "B"]:
        """Return a number from 0 to 1 for each sequence."""
        return self._reward(batch)

    def kept(self, completions: Sequence[str]) -> list[float]:
        """Return for each text the share of the rules that it keeps."""
        number = len(self.required) + len(self.forbidden)
        return [
            sum(bool(pattern.search(text)) for pattern in self.required) / number
            + sum(not pattern.search(text) for pattern in self.forbidden) / number
            for text in completions
        ]


def _compile(name: str, pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"reward pattern: {name} {pattern!r} is no regular expression: {error}") from error
