"""Reads the HTML table that pandas and its relatives show for a data frame.

Only the plain text of cells is taken: no markup of the kernel ever reaches a page. The standard
library's parser needs minutes for markup that is broken on purpose; what is read here takes time
in proportion to its length.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from itertools import islice

MAX_HTML = 1_000_000
_MAX_CELLS = 20_000
_MAX_CELL = 2_000  # characters
_MAX_TOKENS = 100_000
_MAX_SPAN = 1000
_BEGINNINGS = ('class="dataframe', '<table id="T_')  # a frame's, and a styled one's
# A part of a table, another tag, or text.
_TOKEN = re.compile(
    r"<(?P<end>/?)(?P<part>thead|tbody|tr|th|td)\b(?P<attributes>[^<>]*)>"
    r"|<[!/a-zA-Z][^<>]*>"
    r"|(?P<text>[^<]+|<)"
)
_SPAN = re.compile(r'\b(colspan|rowspan)="?([0-9]{1,4})\b')


@dataclass
class _Row:
    is_header: bool
    cells: list[tuple[str, int, int]] = field(default_factory=list)  # text, columns, rows


def read_table(markup: str) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]] | None:
    """The columns and rows of the first data frame in `markup`; None when there is none.

    The index comes first, under its name if it has one. Several header rows are joined.
    """
    start = max(map(markup.find, _BEGINNINGS))
    if len(markup) > MAX_HTML or start < 0:
        return None
    begin, end = markup.rfind("<table", 0, start + len("<table")), markup.find("</table>", start)
    rows = _read_rows(markup[begin : end if end > 0 else len(markup)])
    width = max((sum(span for _, span, _ in row.cells) for row in rows), default=0)
    if not width or width * len(rows) > _MAX_CELLS:
        return None
    grid = _expand(rows, width)
    heads = [cells for row, cells in zip(rows, grid, strict=True) if row.is_header]
    body = [cells for row, cells in zip(rows, grid, strict=True) if not row.is_header]
    columns = (" ".join(dict.fromkeys(filter(None, parts))) for parts in zip(*heads, strict=True))
    return tuple(columns) or ("",) * width, tuple(tuple(row) for row in body)


def _read_rows(markup: str) -> list[_Row]:
    """The rows in `markup`, in which at most `_MAX_CELLS` cells are read."""
    rows: list[_Row] = []
    in_head, cells = False, 0
    text: list[str] | None = None  # of the open cell
    span = (1, 1)
    for token in islice(_TOKEN.finditer(markup), _MAX_TOKENS):
        part, ends = token["part"], token["end"]
        if token["text"] is not None and text is not None:
            text.append(token["text"])
        elif part in ("thead", "tbody"):
            in_head = part == "thead" and not ends
        elif part == "tr" and not ends:
            rows.append(_Row(in_head))
        elif part in ("th", "td") and not ends and rows and cells < _MAX_CELLS:
            spans = dict(_SPAN.findall(token["attributes"]))
            span = (_span(spans.get("colspan")), _span(spans.get("rowspan")))
            text = []
        elif part in ("th", "td") and text is not None:
            content = "".join(text)[:_MAX_CELL]
            rows[-1].cells.append((html.unescape(content).strip(), *span))
            cells, text = cells + 1, None
    return rows


def _expand(rows: list[_Row], width: int) -> list[list[str]]:
    """Give each spanned place its own cell, with the text of the cell that spans it."""
    grid: list[list[str]] = []
    held: dict[int, tuple[str, int]] = {}  # column -> text and rows that it still covers
    for row in rows:
        line: list[str] = []
        fresh = iter(row.cells)
        while len(line) < width:
            column = len(line)
            if column in held:
                text, left = held.pop(column)
                line.append(text)
                if left > 1:
                    held[column] = (text, left - 1)
                continue
            text, columns, deep = next(fresh, ("", 1, 1))
            for place in range(column, min(column + columns, width)):
                line.append(text)
                if deep > 1:
                    held[place] = (text, deep - 1)
        grid.append(line[:width])
    return grid


def _span(value: str | None) -> int:
    return min(max(int(value or 1), 1), _MAX_SPAN)
