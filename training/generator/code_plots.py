"""Code tasks that draw: function graphs, bar, pie and line charts, a heart."""

from __future__ import annotations

from collections.abc import Callable

from training.generator.draw import Draw
from training.generator.lexicon import phrases, words
from training.generator.task import Task, ask, number_list, spoken_list
from training.generator.values import city, coined, decimal, food, hanzi, person, to_json, word
from training.generator.wording import plain

PlotMaker = Callable[[Draw], Task]

_IMPORT = "import matplotlib.pyplot as plt\n"
_JOINTS = {
    "en": (", ", ", ", ", ", "; ", " and ", " ", "\n"),
    "zh": ("，", "，", "、", "、", ", ", "；", " "),
}
_HEART = (
    "import numpy as np\n" + _IMPORT + "t = np.linspace(0, 2 * np.pi, 400)\n"
    "plt.plot(16 * np.sin(t)**3, 13 * np.cos(t) - 5 * np.cos(2 * t)"
    " - 2 * np.cos(3 * t) - np.cos(4 * t))\n"
    "plt.show()"
)


def function_graph(draw: Draw) -> Task:
    shown, code, low = _function(draw)
    high = 10
    range_words = ""
    if draw.chance(0.5):
        low = draw.rng.randint(0 if low >= 0 else -30, 5) if low < 0 else draw.rng.randint(1, 5)
        high = low + draw.rng.randint(1, 40)
        ranges = phrases("code")["plot_range"][draw.lang]
        range_words = plain(draw, ranges, {"a": low, "b": high})
    cell = (
        f"import numpy as np\n{_IMPORT}x = np.linspace({low}, {high}, 400)\n"
        f"plt.plot(x, {code})\nplt.show()"
    )
    return Task("plot.function", ask(draw, "plot_function", f=shown, r=range_words), cell)


def _function(draw: Draw) -> tuple[str, str, float]:
    """How a user writes a function of x, its numpy form, and where its graph starts."""
    a, b, n = draw.rng.randint(2, 9), draw.rng.randint(1, 20), draw.rng.randint(2, 4)
    sign = draw.pick("+-")
    mark = draw.pick(("^", "^", "**"))
    times = draw.pick(("", "", "*"))
    name = draw.pick(("sin", "cos", "tan", "exp"))
    plus = f"{draw.pick((' ', ''))}{sign}{draw.pick((' ', ''))}{b}"
    options = (
        (f"{name}(x)", f"np.{name}(x)", -10),
        (f"{name}({a}{times}x)", f"np.{name}({a} * x)", -10),
        (f"{a}{times}{name}(x)", f"{a} * np.{name}(x)", -10),
        (f"x{mark}{n}", f"x**{n}", -10),
        (f"{a}{times}x{mark}{n}", f"{a} * x**{n}", -10),
        (f"{a}{times}x{plus}", f"{a} * x {sign} {b}", -10),
        (f"x{mark}{n}{plus}", f"x**{n} {sign} {b}", -10),
        (f"{name}(x){plus}", f"np.{name}(x) {sign} {b}", -10),
        (f"x{mark}2 {sign} {a}{times}x", f"x**2 {sign} {a} * x", -10),
        (draw.pick(("log(x)", "ln(x)", "ln x")), "np.log(x)", 0.1),
        (draw.pick(("sqrt(x)", draw.by_lang("the square root of x", "根号x"))), "np.sqrt(x)", 0),
        (draw.by_lang("|x|", "|x|"), "np.abs(x)", -10),
        (draw.by_lang("sine", "正弦函数"), "np.sin(x)", -10),
        (draw.by_lang("cosine", "余弦函数"), "np.cos(x)", -10),
        ("1/x", "1 / x", 0.1),
        (draw.by_lang(f"e{mark}x", f"e{mark}x"), "np.exp(x)", -10),
        (draw.by_lang("a parabola", "抛物线"), "x**2", -10),
    )
    return draw.pick(options)


def chart(draw: Draw) -> Task:
    """A bar, pie or line chart of labelled numbers.

    Pairs of the request stay together in the cell, and two lists apart.
    """
    kind = draw.pick(("bar", "bar", "pie", "line_pairs"))
    labels, values = _labelled(draw)
    if draw.chance(0.18):
        said = _two_lists(draw, labels, values)
        data = f"labels = {to_json(labels)}\nvalues = {to_json(values)}"
        x, y = "labels", "values"
    else:
        said = _spoken_pairs(draw, labels, values)
        data = f"data = {to_json(dict(zip(labels, values, strict=True)))}"
        x, y = "list(data)", "list(data.values())"
    call = {
        "bar": f"plt.bar({x}, {y})",
        "pie": f"plt.pie({y}, labels={x})",
        "line_pairs": f"plt.plot({x}, {y})",
    }[kind]
    return Task(f"plot.{kind}", ask(draw, kind, d=said), f"{_IMPORT}{data}\n{call}\nplt.show()")


def _labelled(draw: Draw) -> tuple[list[str], list[int | float]]:
    count = draw.rng.randint(2, 6)
    form = draw.rng.randrange(5)
    labels: list[str] = []
    while len(labels) < count:
        label = (
            draw.pick(words("periods", draw.lang)),
            person(draw),
            draw.pick((food(draw), city(draw))),
            draw.pick("ABCDEFGHKXYZ"),
            word(draw) if draw.chance(0.5) else draw.by_lang(coined(draw), hanzi(draw, 2)),
        )[form]
        if label not in labels:
            labels.append(label)
    values = [decimal(draw) if draw.chance(0.1) else draw.rng.randint(1, 120) for _ in labels]
    return labels, values


def _two_lists(draw: Draw, labels: list[str], values: list[int | float]) -> str:
    sep = draw.by_lang(", ", draw.pick(("、", "，", ", ")))
    slots = {"labels": sep.join(labels), "values": sep.join(map(str, values))}
    return plain(draw, phrases("code")["two_lists"][draw.lang], slots)


def _spoken_pairs(draw: Draw, labels: list[str], values: list[int | float]) -> str:
    """Labels and numbers the way a user types them."""
    form = str(draw.pick(phrases("code")["pair"][draw.lang]))
    if any(label[-1].isdigit() for label in labels) and "<label><value>" in form:
        form = "<label> <value>"
    pairs = [
        form.replace("<label>", label).replace("<value>", str(value))
        for label, value in zip(labels, values, strict=True)
    ]
    joint = draw.pick(_JOINTS[draw.lang])
    if draw.chance(0.15):
        return joint.join(pairs[:-1]) + draw.by_lang(" and ", "和") + pairs[-1]
    return joint.join(pairs)


def line_of_numbers(draw: Draw) -> Task:
    numbers = number_list(draw)
    cell = f"{_IMPORT}data = {numbers}\nplt.plot(data)\nplt.show()"
    return Task("plot.line", ask(draw, "line_numbers", l=spoken_list(draw, numbers)), cell)


def heart(draw: Draw) -> Task:
    return Task("plot.heart", ask(draw, "heart"), _HEART)
