"""What becomes of the messages of a kernel: texts, tables, pictures, errors, and their caps."""

from __future__ import annotations

import base64
import io
import struct
import time
import zlib
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from glmdemo.kernel.channels import KernelMessage
from glmdemo.kernel.outputs import Budget, clean_text, to_output
from glmdemo.kernel.tables import read_table
from glmdemo.outputs import ErrorOutput, ImageOutput, NoticeOutput, TableOutput, TextOutput
from glmdemo.sandbox.limits import Limits

LIMITS = Limits()


def display(data: dict[str, Any], display_id: str | None = None) -> Any:
    transient = {"display_id": display_id} if display_id else {}
    content = {"data": data, "transient": transient}
    return to_output(KernelMessage("display_data", "id", content), LIMITS)


def picture(form: str, size: tuple[int, int] = (3, 2)) -> str:
    buffer = io.BytesIO()
    Image.new("RGB", size).save(buffer, form)
    return base64.b64encode(buffer.getvalue()).decode()


def png_claiming(width: int, height: int) -> str:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    body = struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + body).decode()


@pytest.mark.parametrize(("mime", "form"), [("image/png", "PNG"), ("image/jpeg", "JPEG")])
def test_a_picture_wins_over_its_text(mime: str, form: str) -> None:
    encoded = picture(form)
    output = display({"text/plain": "<Figure>", mime: encoded + "\n"}, "d1")
    assert output == ImageOutput(base64.b64decode(encoded), mime, "d1")


@pytest.mark.parametrize("encoded", ["no base64!", "aGVsbG8=", png_claiming(30_000, 30_000)])
def test_a_damaged_or_huge_picture_becomes_a_notice(encoded: str) -> None:
    assert isinstance(display({"image/png": encoded}), NoticeOutput)


def test_a_picture_with_too_many_bytes_is_not_even_decoded() -> None:
    output = display({"image/png": "A" * (LIMITS.image_bytes * 2)})
    assert isinstance(output, NoticeOutput)


def test_a_data_frame_becomes_a_table_with_its_text() -> None:
    frame = pd.DataFrame({"城市": ["北京", "<b>"], "n": [1.5, 2.0]})
    output = display({"text/html": frame._repr_html_(), "text/plain": str(frame)})
    assert isinstance(output, TableOutput)
    assert output.columns == ("", "城市", "n")
    assert output.rows == (("0", "北京", "1.5"), ("1", "<b>", "2.0"))
    assert output.text == str(frame)


def test_a_pivoted_frame_keeps_its_two_headers_and_indexes() -> None:
    frame = pd.DataFrame(
        [[1, 2], [3, 4], [5, 6]],
        index=pd.MultiIndex.from_tuples([("a", "x"), ("a", "y"), ("b", "x")], names=["k", "l"]),
        columns=pd.MultiIndex.from_tuples([("m", "p"), ("m", "q")]),
    )
    table = read_table(frame._repr_html_())
    assert table is not None
    columns, rows = table
    assert columns == ("k", "l", "m p", "m q")
    assert rows == (("a", "x", "1", "2"), ("a", "y", "3", "4"), ("b", "x", "5", "6"))


@pytest.mark.parametrize(
    "html",
    [
        "<script>alert(1)</script>",
        '<table class="dataframe">',
        '<table class="dataframe">' + '<tr><td rowspan="999" colspan="999">x</td></tr>' * 50,
        '<table class="dataframe">' + "<tr>" * 100_000,
        '<table class="dataframe">' + "x" * 2_000_000,
        *('<table class="dataframe">' + bad * 100_000 for bad in ("<!", "<!--", "<?", "</", "<a ")),
    ],
)
def test_html_that_is_no_sane_table_is_ignored_at_once(html: str) -> None:
    began = time.process_time()
    assert display({"text/html": html, "text/plain": "plain"}) == TextOutput("plain", "result")
    assert time.process_time() - began < 5


def test_a_table_is_read_whatever_its_texts_are_like() -> None:
    cells = ("a<b", "&lt;i&gt;&amp;amp;", "<b>bold</b>", "x &lt y", "&#" + "9" * 5000 + ";")
    row = "".join(f"<td>{cell}</td>" for cell in cells)
    table = read_table(f'<table class="dataframe">\n<tr>\n{row}\n</tr></table> after')
    assert table is not None
    assert table[1][0][:4] == ("a<b", "<i>&amp;", "bold", "x < y")


def test_a_styled_frame_is_a_table_too() -> None:
    frame = pd.DataFrame({"n": [1.5, 2.0]}).style.format(precision=1)
    output = display({"text/html": frame.to_html(), "text/plain": "<pandas.Styler at 0x7f>"})
    assert isinstance(output, TableOutput)
    assert output.rows == (("0", "1.5"), ("1", "2.0"))
    assert output.text == "\tn\n0\t1.5\n1\t2.0"


def test_content_that_breaks_a_reader_is_told_and_breaks_nothing_else() -> None:
    nested: list[Any] = []
    for _ in range(3000):
        nested = [nested]
    error = {"ename": "E", "evalue": "x", "traceback": [nested, *["frame"] * 100_000, "last"]}
    output = to_output(KernelMessage("error", "id", error), LIMITS)
    assert isinstance(output, ErrorOutput)
    assert output.traceback.endswith("last")
    assert display({"text/html": 5, "image/png": nested, "text/plain": None}) is None
    for kind in ("stream", "display_data", "error"):
        told = to_output(KernelMessage(kind, "id", {}, too_large=True), LIMITS)
        assert "too large" in getattr(told, "text", "")
    assert to_output(KernelMessage("execute_reply", "id", {}, too_large=True), LIMITS) is None


def test_text_comes_without_escapes_controls_and_turned_letters() -> None:
    hostile = "\x1b[2J\x1b]0;title\x07\x1b[31mred\x1b[0m\x00\x08\x7f \u202etxt \ud800 北京\t\r\n"
    assert clean_text(hostile) == "red txt ? 北京\t\r\n"


def test_an_error_has_a_short_traceback_without_colours() -> None:
    lines = ["\x1b[31mValueError\x1b[0m", "x" * 50_000, "ValueError: last"]
    content = {"ename": "ValueError", "evalue": "last", "traceback": lines}
    output = to_output(KernelMessage("error", "id", content), LIMITS)
    assert isinstance(output, ErrorOutput)
    assert (output.name, output.message) == ("ValueError", "last")
    assert output.traceback.startswith("ValueError\n")
    assert output.traceback.endswith("ValueError: last")
    assert len(output.traceback) < 10_000


def test_a_model_reads_the_own_frames_of_a_traceback_and_the_last_lines() -> None:
    rule, title = "-" * 75, f"{'KeyError':42}Traceback (most recent call last)"
    link = "\nThe above exception was the direct cause of the following exception:\n"
    library = "File /usr/lib/python3/site-packages/pandas/base.py:1, in get(self)\n----> 1 get()\n"
    cell = "Cell In[1], line 1\n----> 1 mine.load()\n"
    module = "File ~/mine.py:2, in load()\n----> 2 frame['b']\n"
    last = "KeyError: 'b'"
    frames = [rule, title, library, last, link, title, cell, module, library, last]
    error = raised(frames)
    assert error.traceback == "\n".join(frames)
    assert error.text == "\n".join([rule, title, cell, module, last])
    both = [rule, title, cell, last, link, title, cell, library, "ValueError: x"]
    assert raised(both).text == "\n".join(frame for frame in both if frame != library)
    deep = raised([rule, title, *[cell] * 1_000, last]).text
    assert deep.count("mine.load()") == 6
    assert deep.endswith(last)


@pytest.mark.parametrize(
    "pieces",
    [
        ["  Cell In[1], line 1\n    def f(:\n          ^\nSyntaxError: invalid syntax\n"],
        [
            "-" * 75,
            "KeyboardInterrupt       Traceback (most recent call last)",
            "KeyboardInterrupt: ",
        ],
        ["no traceback at all"],
        [],
    ],
)
def test_a_traceback_without_frames_of_libraries_stays_as_it_is(pieces: list[str]) -> None:
    error = raised(pieces)
    assert error.text == (error.traceback or "KeyError: 'b'")


def raised(pieces: list[str]) -> ErrorOutput:
    content = {"ename": "KeyError", "evalue": "'b'", "traceback": pieces}
    output = to_output(KernelMessage("error", "id", content), LIMITS)
    assert isinstance(output, ErrorOutput)
    return output


def test_text_over_the_limit_is_cut_with_one_notice_and_errors_still_pass() -> None:
    budget = Budget(Limits(text_chars=10))
    shown = [
        piece
        for output in (TextOutput("12345678"), TextOutput("9abcdef"), TextOutput("more"))
        for piece in budget.admit(output)
    ]
    error = ErrorOutput("E", "m")
    assert shown[:2] == [TextOutput("12345678"), TextOutput("9a")]
    assert [type(piece) for piece in shown[2:]] == [NoticeOutput]
    assert budget.admit(error) == [error]
    assert len([piece for _ in range(100) for piece in budget.admit(error)]) < 20


def test_a_flood_of_pictures_is_cut_by_bytes_and_by_number() -> None:
    by_bytes = Budget(Limits(image_bytes=25))
    shown = [piece for _ in range(9) for piece in by_bytes.admit(ImageOutput(b"x" * 10))]
    assert [type(piece) for piece in shown] == [ImageOutput, ImageOutput, NoticeOutput]
    by_number = Budget(Limits(outputs=3))
    assert len([piece for _ in range(9) for piece in by_number.admit(ImageOutput(b"x"))]) == 4
