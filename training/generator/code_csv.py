"""Code tasks about CSV files that lie in the working directory."""

from __future__ import annotations

from training.generator.code_numbers import ask_statistic, statistic_name
from training.generator.draw import Draw
from training.generator.lexicon import phrases, words
from training.generator.task import Task, wording
from training.generator.values import coined, date, food, hanzi, person, word
from training.generator.wording import phrase

_PANDAS = {
    "mean": 'round(df["{}"].mean(), 6)',
    "sum": 'round(df["{}"].sum(), 6)',
    "max": 'df["{}"].max()',
    "min": 'df["{}"].min()',
    "median": 'df["{}"].median()',
}


def csv_file(draw: Draw) -> Task:
    """A statistic of one column of a small file."""
    name, text, columns = _file(draw)
    column, kind = draw.pick(columns), draw.pick(tuple(_PANDAS))
    cell = f'import pandas as pd\ndf = pd.read_csv("{name}")\n{_printed(column, kind)}'
    direct = phrases("code")["csv_direct"]
    request = ask_statistic(draw, wording(draw, "csv"), direct, kind, f=name, c=column)
    return Task(f"csv.{kind}", request, cell, files={name: text}, columns=columns)


def csv_again(draw: Draw, columns: tuple[str, ...]) -> tuple[str, str]:
    """A further request about the table in `df`, and its cell."""
    column, kind = draw.pick(columns), draw.pick(tuple(_PANDAS))
    slots = {"c": column, "s": statistic_name(draw, kind)}
    request = phrase(draw, wording(draw, "follow", "csv"), slots)
    return request, _printed(column, kind)


def _printed(column: str, kind: str) -> str:
    return f"print({_PANDAS[kind].format(column)})"


def _file(draw: Draw) -> tuple[str, str, tuple[str, ...]]:
    """File name, text, and the names of its columns of numbers."""
    count = draw.pick((1, 1, 2, 2, 3))
    columns: list[str] = []
    while len(columns) < count:
        column = _column(draw)
        if column not in columns:
            columns.append(column)
    labels = draw.pick((person, food, word, date))
    first = draw.pick(draw.by_lang(("name", "item", "day", "id"), ("名称", "姓名", "日期", "编号")))
    rows = [",".join((first, *columns))]
    tops = [draw.pick((10, 100, 500, 9000)) for _ in columns]
    decimals = draw.chance(0.35)
    for _ in range(draw.rng.randint(3, 7)):
        label = str(labels(draw)).replace(",", "")
        numbers = [
            round(draw.rng.uniform(0, top), 1) if decimals else draw.rng.randint(0, top)
            for top in tops
        ]
        rows.append(",".join((label, *map(str, numbers))))
    return _file_name(draw), "\n".join(rows) + "\n", tuple(columns)


def _file_name(draw: Draw) -> str:
    english = draw.with_lang("en")
    stem = draw.pick((coined(english, 2), coined(english), draw.pick(words("nouns", "en"))))
    if draw.lang == "zh" and draw.chance(0.35):
        stem = hanzi(draw, 2) + draw.pick(("", "表", "数据", "记录"))
    elif draw.chance(0.2):
        stem = draw.pick(("data", "sales", "table", "report", "results", "log", "stock"))
    tail = draw.pick(("", "", "", f"_{draw.rng.randint(1, 2030)}", "-" + coined(english, 1), "2"))
    return f"{stem}{tail}.csv"


def _column(draw: Draw) -> str:
    """A column name: usual, invented, of two words, with a unit."""
    english = draw.with_lang("en")
    if draw.lang == "en" or draw.chance(0.25):
        first = draw.pick((draw.pick(words("columns", "en")), coined(english), coined(english, 2)))
        form = draw.pick(("{0}", "{0}", "{0}", "{0}_{1}", "{0} {1}", "{2}", "{0}{3}"))
        number = draw.rng.randint(1, 9)
        return form.format(first, draw.pick(words("nouns", "en")), first.capitalize(), number)
    first = draw.pick((draw.pick(words("columns", "zh")), hanzi(draw, 2), hanzi(draw, 3)))
    return first + draw.pick(("", "", "", "额", "数", "（元）", "值"))
