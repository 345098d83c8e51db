"""Figures, SVG pictures and formulas of a kernel that may send anything."""

from __future__ import annotations

import json
from typing import Any

import pytest

from glmdemo.kernel import pictures
from glmdemo.outputs import FigureOutput, ImageOutput, NoticeOutput, model_text


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"x": value}
    return value


def test_a_figure_keeps_its_numbers_and_loses_what_it_would_load() -> None:
    sent = {
        "data": [
            {"type": "bar", "x": ["甲"], "y": [2]},
            {"type": "sankey", "link": {"source": [0], "target": [1]}, "src": "http://x"},
        ],
        "layout": {
            "title": {"text": "T"},
            "images": [{"source": "http://tracker.example/x.png"}],
            "mapbox2": {"style": "http://tracker.example"},
            "updatemenus": [{"buttons": []}],
            "template": {"layout": {"geo": {}, "images": []}},
            "width": 10**9,
            "height": -5,
        },
        "frames": [{"data": []}],
    }
    output = pictures.figure(sent, "d")
    assert isinstance(output, FigureOutput)
    figure = json.loads(output.figure)
    assert figure["data"][0] == sent["data"][0]  # type: ignore[index]
    assert figure["data"][1]["link"] == {"source": [0], "target": [1]}
    assert figure["layout"] == {
        "title": {"text": "T"},
        "template": {"layout": {}},
        "width": 2000,
        "height": 10,
    }
    assert "http" not in output.figure
    assert "frames" not in figure
    assert model_text([output]) == "[Image]"


@pytest.mark.parametrize(
    "sent",
    [
        [],
        {"data": {}},
        {"data": [{"type": "scattermap"}]},
        {"data": [{"type": "choropleth", "geojson": "http://x"}]},
        {"data": [{"type": "image", "source": "http://x"}]},
        {"data": [{"type": ["bar"]}]},
        {"data": [{"type": nested(5000)}]},
        {"data": [{"type": f"{number:040}"} for number in range(1000)]},
        {"data": [{"type": "bar", "x": nested(500)}]},
        {"data": [{"type": "bar", "x": ["x" * 5_000_000]}]},
    ],
)
def test_what_is_no_plain_figure_becomes_a_notice(sent: Any) -> None:
    output = pictures.figure(sent, None)
    assert isinstance(output, NoticeOutput)
    assert len(output.text) < 200


@pytest.mark.parametrize(
    "svg",
    [
        '<svg width="5"><circle r="2"/></svg>',
        '<?xml version="1.0"?>\n<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "svg11.dtd">\n'
        "<!-- made by -->\n<svg><g/></svg>",
    ],
)
def test_an_svg_picture_begins_with_its_tag(svg: str) -> None:
    output = pictures.vector(svg, "d")
    assert isinstance(output, ImageOutput)
    assert output.mime == "image/svg+xml"
    assert output.data.startswith(b'<svg xmlns="http://www.w3.org/2000/svg"')


@pytest.mark.parametrize(
    "svg",
    [
        "no svg",
        "/etc/passwd",
        "<html><svg></svg></html>",
        '<!DOCTYPE svg [<!ENTITY a "aaa">]><svg>&a;</svg>',
        "<svg>" + "x" * 3_000_000,
        "<!---->" * 40 + "x",
        " " * 1_000_000 + "x",
    ],
)
def test_what_is_no_sane_svg_becomes_a_notice(svg: str) -> None:
    assert isinstance(pictures.vector(svg, None), NoticeOutput)


@pytest.mark.parametrize(
    ("latex", "inside"),
    [
        (r"$\displaystyle x^{2}$", r"\displaystyle x^{2}"),
        ("$$\n\\frac{1}{2}\n$$", r"\frac{1}{2}"),
        ("$a$ and $b$", ""),
        ("$$a$$ # heading $$b$$", ""),
        ("plain", ""),
        (r"$\rule{9999em}{9999em}$", ""),
        (r"$\href{http://x}{y}$", ""),
        (r"$\mskip-999mu x$", ""),
        (r"$\def\a{\a\a}\a$", ""),
        ("$" + "x" * 6_000 + "$", ""),
        ("", ""),
    ],
)
def test_one_harmless_formula_is_a_formula(latex: str, inside: str) -> None:
    assert pictures.formula(latex) == inside
