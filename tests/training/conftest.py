"""What tests of the training share."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.tokenizer import BuiltinTokenizer, build, save


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> BuiltinTokenizer:
    """A small one, quickly made."""
    folder: Path = tmp_path_factory.mktemp("tokenizer")
    save(build(700, 150), folder)
    return BuiltinTokenizer.load(folder)
