"""Cells with one beginner's mistake, and the error that Python really gives for them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from training.generator.cells import CellError, error_of
from training.generator.draw import Draw
from training.generator.values import coined

_IMPORT = re.compile(r"^(import|from) .*$\n?", re.MULTILINE)
_FUNCTION = re.compile(
    r"\b(print|sum|len|max|min|sorted|round|solve|symbols|diff|integrate|linspace|bar|pie|plot|show"
    r"|read_csv|mean|median|stdev|gcd|lcm|factorial|sqrt|primerange|fromisoformat|upper|lower"
    r"|count)\("
)
_NUMBER_LIST = re.compile(r"\[-?\d+(?:\.\d+)?(?:, -?\d+(?:\.\d+)?)+\]")
_FILE = re.compile(r'read_csv\("([^"]+)"\)')
_COLUMN = re.compile(r'df\["([^"]+)"\]')
_VARIABLE = re.compile(r"^(data|labels|values|df|n|x|f|text) = ", re.MULTILINE)
_MODULE = re.compile(r"^((?:import|from) )(\w+)", re.MULTILINE)
_TEXT_END = re.compile(r'"([),\]:])')
_DIVISOR = re.compile(r"/ (?:\w+\(data\)|[\d.]+)")
_OPERAND = re.compile(r"(\(|[-+*/] )(\d+(?:\.\d+)?)(?=[ ),])")
_OF_DATA = re.compile(r"\b(sum|max|min|sorted|len)\(data\)")
_WRONG_ATTRIBUTE = {"math.": "statistics.", "statistics.": "math.", "np.": "plt.", "plt.": "np."}
_TRIES = 24


def with_mistake(draw: Draw, cell: str, files: Mapping[str, str]) -> tuple[str, CellError] | None:
    """A broken form of `cell` and its error; None where none was found."""
    for _ in range(_TRIES):
        broken = draw.pick(_MISTAKES)(draw, cell)
        if broken == cell:
            continue
        error = error_of(broken, files)
        if error:
            return broken, error
    return None


def _without_import(draw: Draw, cell: str) -> str:
    found = list(_IMPORT.finditer(cell))
    return _cut(cell, draw.pick(found)) if found else cell


def _cut(cell: str, match: re.Match[str], instead: str = "") -> str:
    return cell[: match.start()] + instead + cell[match.end() :]


def _misspelt_function(draw: Draw, cell: str) -> str:
    found = list(_FUNCTION.finditer(cell))
    if not found:
        return cell
    match = draw.pick(found)
    name = match.group(1)
    wrong = draw.pick((_miscopied(draw, name), name + name[-1], name.capitalize()))
    return _cut(cell, match, f"{wrong}(")


def _miscopied(draw: Draw, text: str) -> str:
    """One character left out, doubled or exchanged with the next."""
    at = draw.rng.randrange(len(text))
    left, char, right = text[:at], text[at], text[at + 1 :]
    return draw.pick(
        (left + right, left + char + char + right, left + right[:1] + char + right[1:])
    )


def _misspelt_variable(draw: Draw, cell: str) -> str:
    match = _VARIABLE.search(cell)
    if match is None:
        return cell
    name = match.group(1)
    wrong = draw.pick((name + "s", name + "1", "my_" + name, name[:-1] or "y"))
    return _cut(cell, match, f"{wrong} = ")


def _unclosed(draw: Draw, cell: str) -> str:
    places = [i for i, char in enumerate(cell) if char in ")]"]
    at = draw.pick(places)
    return cell[:at] + cell[at + 1 :]


def _numbers_as_text(draw: Draw, cell: str) -> str:
    match = _NUMBER_LIST.search(cell)
    if match is None:
        return cell
    return _cut(cell, match, re.sub(r"-?\d+(\.\d+)?", r'"\g<0>"', match.group()))


def _wrong_file(draw: Draw, cell: str) -> str:
    match = _FILE.search(cell)
    if match is None:
        return cell
    stem = match.group(1).removesuffix(".csv")
    name = draw.pick((_miscopied(draw, stem) + ".csv", stem, "data.csv", coined(draw) + ".csv"))
    return _cut(cell, match, f'read_csv("{name}")')


def _wrong_column(draw: Draw, cell: str) -> str:
    match = _COLUMN.search(cell)
    if match is None:
        return cell
    right = match.group(1)
    name = draw.pick((_miscopied(draw, right), _miscopied(draw, right), right.swapcase(), "value"))
    return _cut(cell, match, f'df["{name}"]')


def _wrong_attribute(draw: Draw, cell: str) -> str:
    for right, wrong in _WRONG_ATTRIBUTE.items():
        if right in cell and draw.chance(0.5):
            module = wrong.rstrip(".")
            known = re.search(rf"^import .*\b{module}$", cell, re.MULTILINE)
            body = _IMPORT.sub("", cell).replace(right, wrong)
            return f"{known.group()}\n{body}" if known else f"import {module}\n{body}"
    return cell


def _misspelt_module(draw: Draw, cell: str) -> str:
    match = _MODULE.search(cell)
    if match is None:
        return cell
    name = match.group(2)
    return _cut(cell, match, match.group(1) + draw.pick((name + "s", name[:-1], name + "3")))


def _unclosed_text(draw: Draw, cell: str) -> str:
    found = list(_TEXT_END.finditer(cell))
    if not found:
        return cell
    match = draw.pick(found)
    return _cut(cell, match, match.group(1))


def _wide_sign(draw: Draw, cell: str) -> str:
    """A full-width sign, as a Chinese keyboard types it."""
    wide = {"(": "（", ")": "）", ",": "，", '"': "“"}
    places = [i for i, char in enumerate(cell) if char in wide]
    at = draw.pick(places)
    return cell[:at] + wide[cell[at]] + cell[at + 1 :]


def _by_zero(draw: Draw, cell: str) -> str:
    """A divisor lost: zero stands in its place."""
    found = list(_DIVISOR.finditer(cell))
    return _cut(cell, draw.pick(found), "/ 0") if found else cell


def _text_and_number(draw: Draw, cell: str) -> str:
    found = list(_OPERAND.finditer(cell))
    if not found:
        return cell
    match = draw.pick(found)
    return _cut(cell, match, f'{match.group(1)}"{match.group(2)}"')


def _method_of_list(draw: Draw, cell: str) -> str:
    """A method that lists and texts do not have."""
    match = _OF_DATA.search(cell)
    return _cut(cell, match, f"data.{match.group(1)}()") if match else cell


def _indented(draw: Draw, cell: str) -> str:
    """A blank before a line; IPython forgives it before the first one."""
    first, *lines = cell.split("\n")
    if not lines:
        return cell
    at = draw.rng.randrange(len(lines))
    lines[at] = "    " + lines[at]
    return "\n".join((first, *lines))


_MISTAKES: tuple[Callable[[Draw, str], str], ...] = (
    *[_without_import] * 6,
    *[_misspelt_function] * 4,
    *[_misspelt_variable] * 3,
    *[_unclosed] * 3,
    *[_unclosed_text] * 3,
    *[_numbers_as_text] * 5,
    *[_wrong_file] * 8,
    *[_wrong_column] * 8,
    *[_misspelt_module] * 2,
    _wrong_attribute,
    _text_and_number,
    _method_of_list,
    _wide_sign,
    _by_zero,
    _indented,
)
"""The more often, the likelier a small model makes them itself."""
