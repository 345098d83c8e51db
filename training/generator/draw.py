"""The state every part of the generator draws from."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from training.generator.lexicon import Lang

T = TypeVar("T")

_CHANGED_LANG = 0.08


@dataclass(frozen=True)
class Draw:
    """A seeded source of choices for one language and one split.

    `level` (0..1) is the difficulty: early in training rows are short and noise is rare.
    """

    rng: random.Random
    lang: Lang = "en"
    held_out: bool = False
    level: float = 1.0

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def pick(self, options: Sequence[T]) -> T:
        return self.rng.choice(options)

    def by_lang(self, en: T, zh: T) -> T:
        return en if self.lang == "en" else zh

    def with_lang(self, lang: Lang) -> Draw:
        return replace(self, lang=lang)

    def in_other_lang(self) -> Draw:
        return self.with_lang("zh" if self.lang == "en" else "en")

    def now_and_then_in_other_lang(self) -> Draw:
        """For one of several requests: a few users change the language within a conversation."""
        return self.in_other_lang() if self.chance(_CHANGED_LANG) else self
