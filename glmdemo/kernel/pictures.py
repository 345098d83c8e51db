"""What a kernel shows beyond text, checked: pictures, figures of Plotly, formulas.

A kernel may send anything. What leaves this module is bounded in size, is what it says it is,
and loads nothing from elsewhere.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import re
from typing import Any

from PIL import Image

from glmdemo.outputs import FigureOutput, ImageOutput, NoticeOutput, Output
from glmdemo.sandbox.limits import MB, Limits

PLOTLY = "application/vnd.plotly.v1+json"
_MAX_SVG = 2 * MB
_MAX_FIGURE = 4 * MB
_MAX_DEPTH = 24
_MAX_SIDE = 2_000  # points
# Traces that draw nothing but their own numbers. Those of maps ask other machines for tiles.
_TRACES = {
    *("scatter", "scattergl", "scatter3d", "scatterpolar", "scatterpolargl", "scatterternary"),
    *("scattersmith", "scattercarpet", "splom", "bar", "barpolar", "box", "violin", "histogram"),
    *("histogram2d", "histogram2dcontour", "heatmap", "contour", "contourcarpet", "carpet"),
    *("surface", "mesh3d", "cone", "streamtube", "volume", "isosurface", "pie", "sunburst"),
    *("treemap", "icicle", "funnel", "funnelarea", "waterfall", "candlestick", "ohlc", "sankey"),
    *("parcoords", "parcats", "table", "indicator"),
}
# Parts of a layout that load pictures and maps, or change the figure when they are clicked.
_LOADING = re.compile(r"(?:images|updatemenus|sliders|mapbox\d*|map\d*|geo\d*)")
# What may stand before the picture itself, each step taken once and for all.
_PROLOGUE = re.compile(r"\s+|<\?xml[^>]*>|<!--.*?-->|<!DOCTYPE[^>\[]*>", re.DOTALL)
_SVG = re.compile(r"<svg\b")
_MAX_FORMULA = 5_000
_FORMULA = re.compile(r"\s*(\${1,2})([^$]+)\1\s*")
# Commands that draw outside of their line, define others, or name addresses.
_WILD = re.compile(
    r"\\(?:rule|kern|mkern|hskip|mskip|hspace|raise|genfrac|above|def|gdef|edef|xdef|let|newcommand"
    r"|renewcommand|providecommand|href|url|html|include)"
)


def raster(encoded: str, mime: str, display_id: str | None, limits: Limits) -> Output:
    """A PNG or JPEG picture from its base64 form."""
    if len(encoded) * 3 // 4 > limits.image_bytes:
        return NoticeOutput(f"A picture of more than {limits.image_bytes:,} bytes is not shown.")
    try:
        data = base64.b64decode("".join(encoded.split()), validate=True)
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as header:
            width, height = header.size
    except (
        binascii.Error,
        OSError,
        ValueError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ):
        return NoticeOutput("A damaged picture is not shown.")
    if width * height > limits.image_pixels:
        return NoticeOutput(f"A picture of {width} × {height} points is too large to be shown.")
    return ImageOutput(data, mime, display_id)


def vector(svg: str, display_id: str | None) -> Output:
    """An SVG picture without its prologue. It may hold scripts: show it in an `<img>` only."""
    if len(svg) > _MAX_SVG:
        return NoticeOutput(f"An SVG picture of more than {_MAX_SVG:,} characters is not shown.")
    begin = 0
    while step := _PROLOGUE.match(svg, begin):
        begin = step.end()
    if not _SVG.match(svg, begin) or "<!ENTITY" in svg:
        return NoticeOutput("A damaged picture is not shown.")
    picture = svg[begin:]
    if "xmlns=" not in picture[:1000]:
        picture = picture.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    return ImageOutput(picture.encode("utf-8", "replace"), "image/svg+xml", display_id)


def figure(sent: Any, display_id: str | None) -> Output:
    """A figure of Plotly, without what would load something or is no part of a figure."""
    if not (isinstance(sent, dict) and isinstance(sent.get("data"), list)):
        return NoticeOutput("A damaged figure is not shown.")
    traces = [trace for trace in sent["data"] if isinstance(trace, dict)]
    kinds = [trace.get("type", "scatter") for trace in traces]
    if strange := [kind for kind in kinds if not (isinstance(kind, str) and kind in _TRACES)]:
        name = strange[0]
        named = isinstance(name, str) and re.fullmatch(r"\w{1,40}", name)
        return NoticeOutput(
            f"A figure with {name if named else 'unknown parts'} is not shown: only plots are."
        )
    layout = sent.get("layout")
    try:
        kept = {"data": _own(traces), "layout": _own(layout if isinstance(layout, dict) else {})}
    except RecursionError:
        return NoticeOutput("A damaged figure is not shown.")
    for side in ("width", "height"):
        if isinstance(length := kept["layout"].get(side), int | float):
            kept["layout"][side] = max(10, min(length, _MAX_SIDE))
    text = json.dumps(kept)
    if len(text) > _MAX_FIGURE:
        return NoticeOutput(f"A figure of more than {_MAX_FIGURE:,} characters is not shown.")
    return FigureOutput(text, display_id)


def formula(latex: str) -> str:
    """The inside of `latex` where that is one formula between dollar signs, else ""."""
    match = _FORMULA.fullmatch(latex) if len(latex) <= _MAX_FORMULA else None
    return match[2].strip() if match and not _WILD.search(latex) else ""


def _own(value: Any, depth: int = 0) -> Any:
    """`value` without what names a file of elsewhere. Raises RecursionError below `_MAX_DEPTH`."""
    if depth > _MAX_DEPTH:
        raise RecursionError
    if isinstance(value, dict):
        items = value.items()
        return {key: _own(each, depth + 1) for key, each in items if not _loads(key, each)}
    if isinstance(value, list):
        return [_own(each, depth + 1) for each in value]
    return value


def _loads(key: str, value: Any) -> bool:
    named = isinstance(value, str) and key in ("source", "geojson", "src", "href")
    return named or _LOADING.fullmatch(key) is not None
