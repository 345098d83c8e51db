"""The rows of the proof: what each tries, how often in the long and in the short form."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from glmdemo.kernel import KernelPool, Limits
from glmdemo.sandbox import Isolation


@dataclass
class Setting:
    """Where a row is tried: the walls, a folder for what it makes, and its luck."""

    isolation: Isolation
    folder: Path
    dice: random.Random = field(default_factory=lambda: random.Random(0))

    def pool(self, limits: Limits | None = None, max_kernels: int | None = None) -> KernelPool:
        return KernelPool(
            limits or Limits(cell_seconds=30),
            isolation=self.isolation,
            runtime_parent=self.folder,
            max_kernels=max_kernels,
        )

    def tell(self, line: str) -> None:
        """Say how far a long row has come, beside the table."""
        print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Result:
    """What a row found: the counts, and what must not be."""

    text: str
    failures: tuple[str, ...] = ()


Try = Callable[[Setting, int], Result]


@dataclass(frozen=True)
class Row:
    """`run(setting, size)`; `full` and `short` are the sizes of the two forms."""

    title: str
    run: Try
    full: int
    short: int


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether `condition` came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
