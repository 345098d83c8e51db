"""From the messages of a kernel to outputs: what a page can show and a model can read."""

from __future__ import annotations

import logging
import re
from typing import Any

from glmdemo.kernel import pictures, tracebacks
from glmdemo.kernel.channels import KernelMessage
from glmdemo.kernel.tables import read_table
from glmdemo.outputs import (
    ClearOutput,
    ErrorOutput,
    FigureOutput,
    FormulaOutput,
    ImageOutput,
    NoticeOutput,
    Output,
    TableOutput,
    TextOutput,
)
from glmdemo.sandbox.limits import Limits

_LOG = logging.getLogger(__name__)
TOO_LARGE = NoticeOutput("Some output was too large and is lost.")
_TOO_LARGE_ERROR = ErrorOutput("Error", "Its text is too large to be shown.")
_MAX_TRACEBACK = 8_000
_MAX_FRAMES = 1_000
_MAX_BRIEF = 3_000
_MAX_ERROR_TEXT = 2_000
# Pieces of printed text; a page joins them, so there may be more of them than of displays.
_MAX_CHUNKS = 20_000
_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # colours and cursor moves
    r"|\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # window titles
    r"|[@-Z\\-_])"
)
_NO_TEXT = re.compile(r"<[\w.]+(?: object)? at 0x[0-9a-f]+>|")
# A step through what `guest/` puts around a library's function says nothing of the cell.
_OWN_FRAME = re.compile(r"File \S*/(?:run/glmdemo|run-\w+/\d+/f)/\w+\.py:")
# All control characters but tab, newline, carriage return; marks that turn text around.
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def clean_text(text: str) -> str:
    """`text` without terminal escapes, control characters and lone surrogates."""
    text = _CONTROLS.sub("", _ESCAPES.sub("", text))
    return text.encode("utf-8", "replace").decode("utf-8")


def to_output(message: KernelMessage, limits: Limits) -> Output | None:
    """What `message` shows; None when it shows nothing or is malformed."""
    try:
        return _read(message, limits)
    except Exception:
        # A message of hostile code that breaks a reader must not end the reading of others.
        _LOG.warning("a message of a kernel cannot be read", exc_info=True)
        return NoticeOutput("Some output cannot be read and is lost.")


def _read(message: KernelMessage, limits: Limits) -> Output | None:
    content = message.content
    if message.type == "stream":
        if message.too_large:
            return TOO_LARGE
        stream = "stderr" if content.get("name") == "stderr" else "stdout"
        return TextOutput(clean_text(text), stream) if (text := _text(content, "text")) else None
    if message.type in ("display_data", "execute_result", "update_display_data"):
        return TOO_LARGE if message.too_large else _display(content, limits)
    if message.type == "error":
        return _TOO_LARGE_ERROR if message.too_large else _error(content)
    if message.type == "clear_output":
        return ClearOutput(wait=content.get("wait") is True)
    return None


def _text(mapping: dict[str, Any], key: str) -> str:
    value = mapping.get(key)
    return value if isinstance(value, str) else ""


def _error(content: dict[str, Any]) -> ErrorOutput:
    pieces = content.get("traceback")
    pieces = pieces if isinstance(pieces, list) else []
    texts = [clean_text(piece) for piece in pieces[-_MAX_FRAMES:] if isinstance(piece, str)]
    frames = [text for text in texts if not _OWN_FRAME.match(text)]
    return ErrorOutput(
        name=clean_text(_text(content, "ename"))[:200] or "Error",
        message=_shorten(clean_text(_text(content, "evalue")), _MAX_ERROR_TEXT),
        traceback=_shorten("\n".join(frames), _MAX_TRACEBACK),
        brief=_shorten(tracebacks.for_model(frames), _MAX_BRIEF),
    )


def _shorten(text: str, size: int) -> str:
    """The head and the tail of `text`, which tell more than its middle."""
    if len(text) <= size:
        return text
    return f"{text[: size // 2]}\n[…]\n{text[-size // 2 :]}"


def _display(content: dict[str, Any], limits: Limits) -> Output | None:
    data, transient = content.get("data"), content.get("transient")
    if not isinstance(data, dict):
        return None
    display_id = _text(transient, "display_id") if isinstance(transient, dict) else ""
    return _best_form(data, display_id[:200] or None, limits)


def _best_form(data: dict[str, Any], display_id: str | None, limits: Limits) -> Output | None:
    for mime in ("image/png", "image/jpeg"):
        if encoded := _text(data, mime):
            return pictures.raster(encoded, mime, display_id, limits)
    plain = clean_text(_text(data, "text/plain"))
    if svg := _text(data, "image/svg+xml"):
        return pictures.vector(svg, display_id)
    if figure := data.get(pictures.PLOTLY):
        return pictures.figure(figure, display_id)
    if table := read_table(_text(data, "text/html")):
        columns, rows = table
        cells = tuple(tuple(map(clean_text, row)) for row in rows)
        columns = tuple(map(clean_text, columns))
        if _NO_TEXT.fullmatch(plain):  # a styled frame has no other text
            plain = "\n".join(map("\t".join, (columns, *cells)))
        return TableOutput(columns, cells, plain, display_id)
    if latex := pictures.formula(clean_text(_text(data, "text/latex"))):
        return FormulaOutput(latex, plain, display_id)
    text = clean_text(_text(data, "text/markdown")) or plain
    return TextOutput(text, "result", display_id) if text else None


class Budget:
    """Bounds what one cell may show. One error always passes: it is short and matters most."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._text = limits.text_chars
        self._images = limits.image_bytes
        self._outputs = limits.outputs
        self._chunks = _MAX_CHUNKS
        self._full = self._failed = False

    def admit(self, output: Output) -> list[Output]:
        """`output` as far as it fits, followed by one notice when it is the first that doesn't."""
        if isinstance(output, ErrorOutput) and not self._failed:
            self._failed = True
            return [output]
        if self._full:
            return []
        if isinstance(output, TextOutput) and output.stream != "result":
            self._chunks -= 1
        else:
            self._outputs -= 1
        if isinstance(output, ImageOutput):
            self._images -= len(output.data)
        elif isinstance(output, FigureOutput):
            self._images -= len(output.figure)
        elif isinstance(output, FormulaOutput):
            self._text -= len(output.text) + len(output.latex)
        elif isinstance(output, TableOutput):
            cells = (cell for row in (output.columns, *output.rows) for cell in row)
            self._text -= len(output.text) + sum(map(len, cells))
        elif isinstance(output, ErrorOutput):
            self._text -= len(output.traceback) + len(output.text)
        elif isinstance(output, TextOutput):
            return self._admit_text(output)
        return [output] if self._fits() else self._close()

    def _admit_text(self, output: TextOutput) -> list[Output]:
        left = max(self._text, 0)
        self._text -= len(output.text)
        if self._fits():
            return [output]
        head = TextOutput(output.text[:left], output.stream, output.display_id)
        return [head, *self._close()] if head.text else self._close()

    def _fits(self) -> bool:
        return min(self._text, self._images, self._outputs, self._chunks) >= 0

    def _close(self) -> list[Output]:
        self._full = True
        limits = self._limits
        return [
            NoticeOutput(
                "The output was cut here: a cell shows at most "
                f"{limits.text_chars:,} characters, {limits.outputs:,} pieces and "
                f"{limits.image_bytes:,} bytes of pictures."
            )
        ]
