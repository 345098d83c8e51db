"""Inside a kernel that stays in the host's file tree: the path that models are promised holds.

GLM's prompts say that files are in /mnt/data. Only bubblewrap can show a directory there; in the
other tiers that path is replaced in the texts of each cell's code before it runs, and
put back in what the cell shows (`glmdemo.kernel.promised`).
"""

from __future__ import annotations

import ast
import re


class PromisedPath:
    """Replaces `promised` by `actual` in the texts of a cell, wherever it stands as a path."""

    def __init__(self, promised: str, actual: str) -> None:
        self._path = re.compile(rf"(?<![\w./-]){re.escape(promised)}(?![\w.-])")
        self._actual = actual

    def visit(self, tree: ast.AST) -> ast.AST:
        """For IPython, which lets go of a visitor that fails: so not by recursion."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                node.value = self._path.sub(lambda _: self._actual, node.value)
        return tree
