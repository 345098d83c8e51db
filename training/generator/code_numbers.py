"""Code tasks about numbers: arithmetic, percentages, statistics, number theory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from training.generator.draw import Draw
from training.generator.lexicon import phrases
from training.generator.task import Task, ask, number_list, spoken_list, wording
from training.generator.values import person
from training.generator.wording import phrase

_SPOKEN_OPERATORS = {
    "en": {"+": "plus", "-": "minus", "*": "times", "/": "divided by"},
    "zh": {"+": "加", "-": "减", "*": "乘", "/": "除以"},
}
_FREQUENT = ("{a} + {b}", "{a} - {b}", "{a} * {b}", "{a} / {b}")
_SIGNS = {"*": ("*", "*", "×", "x", "·"), "/": ("/", "/", "÷"), "**": ("**", "^", "^")}

STATISTICS = {
    "mean": (
        ("mean", "average", "average", "arithmetic mean", "mean value", "avg", "average value"),
        ("平均值", "平均数", "均值", "平均", "算术平均数", "平均分"),
    ),
    "median": (("median", "median", "middle value", "median value"), ("中位数", "中位数", "中值")),
    "sum": (
        ("sum", "sum", "total", "total sum", "overall sum", "sum total"),
        ("总和", "总和", "和", "总数", "合计", "总计", "总额", "求和结果"),
    ),
    "max": (
        (
            *("maximum", "largest number", "largest", "biggest", "max", "highest"),
            *("highest value", "greatest", "maximum value", "top value"),
        ),
        ("最大值", "最大数", "最大的数", "最大的", "最高值", "最高的"),
    ),
    "min": (
        (
            *("minimum", "smallest number", "smallest", "lowest", "min", "lowest value"),
            *("least", "minimum value", "smallest value"),
        ),
        ("最小值", "最小数", "最小的数", "最小的", "最低值", "最低的"),
    ),
    "stdev": (
        ("standard deviation", "standard deviation", "std", "sample standard deviation"),
        ("标准差", "标准差", "标准偏差", "样本标准差"),
    ),
    "range": (("range", "range", "spread"), ("极差", "极差", "全距")),
}
"""Names of each statistic in English and Chinese."""

_DIRECT = 0.3
"""Share of questions that say a statistic without its name: which is the largest of ..."""

_CELLS = {
    "mean": "print(round(sum(data) / len(data), 6))",
    "median": "import statistics\nprint(statistics.median(data))",
    "sum": "print(round(sum(data), 6))",
    "max": "print(max(data))",
    "min": "print(min(data))",
    "stdev": "import statistics\nprint(round(statistics.stdev(data), 6))",
    "range": "print(round(max(data) - min(data), 6))",
}


def operand(draw: Draw) -> int | float:
    """A number of one to six digits, sometimes a decimal."""
    number = draw.rng.randint(1, 10 ** draw.pick((1, 2, 2, 3, 3, 4, 5, 6)))
    return round(number / 10 ** draw.pick((1, 2)), 2) if draw.chance(0.12) else number


def printed(expression: str) -> str:
    """The cell that prints an expression; quotients and decimals are rounded to 6 places."""
    if "/" in expression.replace("//", "") or "." in expression:
        return f"print(round({expression}, 6))"
    return f"print({expression})"


def expression_in(cell: str) -> str:
    """What `printed` was given."""
    return cell.removeprefix("print(").removeprefix("round(").removesuffix(")").removesuffix(", 6)")


def typed_expression(draw: Draw) -> tuple[str, str]:
    """One to three operations: the way a user types them, and as Python."""
    a, b, c = (str(operand(draw)) for _ in range(3))
    op, other = draw.pick("++--***//"), draw.pick("+-*")
    forms: list[tuple[str, ...]] = [(a, op, b)] * 5
    forms += [(a, op, b, other, c), ("(", a, other, b, ")", op, c), (a, "*", "(", b, other, c, ")")]
    if len(a) <= 3 and "." not in a:
        forms.append((a, "**", str(draw.rng.randint(2, 6))))
    if "." not in a + b:
        forms.append((a, "%", b))
    parts = draw.pick(forms)
    if _divides_by_zero(parts):
        return typed_expression(draw)
    gap = draw.pick(("", " "))
    shown = gap.join(draw.pick(_SIGNS[p]) if p in _SIGNS else p for p in parts)
    return shown.replace("( ", "(").replace(" )", ")"), _spaced(parts)


def _divides_by_zero(parts: tuple[str, ...]) -> bool:
    return any(
        sign in "/%" and float(right) == 0 for sign, right in pairwise(parts) if right[0].isdigit()
    )


def expression(draw: Draw) -> Task:
    shown, code = typed_expression(draw)
    return Task("expression", ask(draw, "expression", e=shown), printed(code), again=shown)


def _spaced(parts: tuple[str, ...]) -> str:
    return " ".join(parts).replace("( ", "(").replace(" )", ")").replace(" ** ", "**")


def words(draw: Draw) -> Task:
    """An operation put into words, or a remainder, a power, a square."""
    kind = draw.pick(("words", "words", "spoken", "spoken", "spoken", "power", "remainder"))
    if kind == "spoken" and not draw.held_out:
        return _spoken(draw)
    a, b = operand(draw), operand(draw)
    if kind in ("words", "spoken"):
        op = draw.pick("+-*/")
        word = _SPOKEN_OPERATORS[draw.lang][op]
        shown = draw.by_lang(f"{a} {word} {b}", f"{a}{word}{b}")
        return Task("words", ask(draw, "expression", e=shown), printed(f"{a} {op} {b}"))
    n, m, k = draw.rng.randint(2, 9999), draw.rng.randint(2, 99), draw.rng.randint(2, 9)
    cell = f"{m}**{k}" if kind == "power" else f"{n} % {m}"
    slots = {"n": m, "k": k} if kind == "power" else {"n": n, "m": m}
    return Task(kind, ask(draw, kind, **slots), f"print({cell})")


def _spoken(draw: Draw) -> Task:
    """The sum of a and b, half of a, a little story: one of the forms of spoken.yaml."""
    forms = phrases("spoken")
    form = draw.pick(_FREQUENT if draw.chance(0.6) else tuple(forms))
    numbers = {name: operand(draw) for name in "abc"}
    if form.startswith(("{a} - ", "{a} / {b}")) and draw.chance(0.6):
        numbers["b"], numbers["a"] = sorted((numbers["a"], numbers["b"]))
    people = {"person": person(draw), "other": person(draw)}
    request = phrase(draw, forms[form][draw.lang], {**numbers, **people})
    return Task("words", request, printed(form.format(**numbers)))


def percentage(draw: Draw) -> Task:
    kinds = ("percent", "percent", "discount", "discount", "increase", "increase", "share", "share")
    kind = draw.pick((*kinds, "tenths") if draw.lang == "zh" or draw.chance(0.3) else kinds)
    p, n, m = draw.rng.randint(1, 99), operand(draw), draw.rng.randint(1, 500)
    if kind == "share" and draw.chance(0.8):
        n = draw.rng.randint(2, 10 ** draw.rng.randint(1, 4))
        m = draw.rng.randint(1, n)
    z = draw.rng.randint(1, 9)
    cell = {
        "percent": f"{n} * {p} / 100",
        "discount": f"{n} * (100 - {p}) / 100",
        "increase": f"{n} * (100 + {p}) / 100",
        "share": f"{m} / {n} * 100",
        "tenths": f"{n} * {z} / 10",
    }[kind]
    return Task(kind, ask(draw, kind, p=p, n=n, m=m, z=z), f"print(round({cell}, 6))")


def statistic_name(draw: Draw, kind: str) -> str:
    return draw.pick(STATISTICS[kind][0 if draw.lang == "en" else 1])


def ask_statistic(
    draw: Draw, lines: Sequence[str], direct: Mapping[str, Any], kind: str, **slots: object
) -> str:
    """A request for a statistic: by its name in one of `lines`, or in words of its own."""
    if not draw.held_out and draw.chance(_DIRECT):
        return phrase(draw, direct[kind][draw.lang], slots)
    return phrase(draw, lines, {**slots, "s": statistic_name(draw, kind)})


def statistics(draw: Draw) -> Task:
    numbers = number_list(draw)
    kind = draw.pick((*STATISTICS, "mean", "sum", "median"))
    spoken = spoken_list(draw, numbers)
    lines = wording(draw, "statistics")
    request = ask_statistic(draw, lines, phrases("code")["direct"], kind, l=spoken)
    cell = f"data = {numbers}\n{_CELLS[kind]}"
    return Task(f"statistics.{kind}", request, cell, has_list=True, again=spoken)


def statistic_cell(draw: Draw) -> tuple[str, str]:
    """A statistic and the cell that prints it for the numbers in `data`."""
    kind = draw.pick(tuple(STATISTICS))
    return kind, _CELLS[kind]


def sorting(draw: Draw) -> Task:
    numbers = number_list(draw)
    down = draw.chance(0.35)
    spoken = spoken_list(draw, numbers)
    request = ask(draw, "sort_down" if down else "sort", l=spoken)
    cell = "print(sorted(data, reverse=True))" if down else "print(sorted(data))"
    kind = "sort_down" if down else "sort"
    return Task(kind, request, f"data = {numbers}\n{cell}", has_list=True, again=spoken)


def _prime_from(n: int) -> int:
    """The first prime that is not smaller than n."""
    while any(n % i == 0 for i in range(2, int(n**0.5) + 1)):
        n += 1
    return n


def number_theory(draw: Draw) -> Task:
    rng = draw.rng
    kind = draw.pick(("gcd", "lcm", "factorial", "is_prime", "primes", "fibonacci", "root"))
    n, m = rng.randint(2, 10 ** rng.randint(2, 4)), rng.randint(2, 10 ** rng.randint(1, 3))
    k = rng.randint(3, 20)
    if kind == "is_prime" and draw.chance(0.4):
        n = _prime_from(n)
    if kind == "primes":
        n = rng.randint(5, 60)
    if kind == "root" and draw.chance(0.5):
        n = rng.randint(2, 99) ** 2
    cell = {
        "gcd": f"import math\nprint(math.gcd({n}, {m}))",
        "lcm": f"import math\nprint(math.lcm({n}, {m}))",
        "factorial": f"import math\nprint(math.factorial({k}))",
        "is_prime": f"n = {n}\nprint(n > 1 and all(n % i for i in range(2, int(n**0.5) + 1)))",
        "primes": f"import sympy\nprint(list(sympy.primerange({n})))",
        "fibonacci": f"f = [0, 1]\nwhile len(f) < {k}:\n    f.append(f[-1] + f[-2])\nprint(f)",
        "root": f"import math\nprint(round(math.sqrt({n}), 6))",
    }[kind]
    both = draw.by_lang(f"{n} and {m}", f"{n}和{m}")
    named = {"gcd": both, "lcm": both, "factorial": f"{k}", "is_prime": f"{n}", "root": f"{n}"}
    return Task(kind, ask(draw, kind, n=n, m=m, k=k), cell, again=named.get(kind, ""))
