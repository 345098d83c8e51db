"""What the generated conversations teach: values stand in the request, later cells run after
earlier ones, corrections win, errors look as in the code interpreter."""

from __future__ import annotations

import contextlib
import io
import itertools
import random
import re
from pathlib import Path

import pytest

from glmdemo.messages import Message, Role
from glmdemo.tools.results import NO_OUTPUT
from training.generator import chat, code, tools
from training.generator.cells import IMAGE, error_of
from training.generator.draw import Draw
from training.generator.lexicon import Lang, phrases
from training.generator.memory import Known, correct, question
from training.generator.report import report
from training.generator.requests import request
from training.generator.row import random_draw
from training.generator.services import service, service_entries
from training.generator.tracebacks import traceback_of
from training.generator.wording import reword

LANGS: tuple[Lang, ...] = ("en", "zh")


def test_values_stand_verbatim_in_what_the_user_said() -> None:
    for index in range(400):
        make = tools.branched_row if index % 4 > 1 else tools.tool_row
        row = make(random_draw(f"verbatim {index}", LANGS[index % 2]))
        if row.category.startswith("tool/app"):
            continue
        for messages in row.conversations():
            said = ""
            for message in messages:
                said += message.content if message.role == Role.USER else ""
                for call in message.tool_calls:
                    for value in call.arguments.values():
                        assert isinstance(value, bool) or str(value) in said, row


def test_who_asks_again_for_one_new_value_gets_the_others_as_before() -> None:
    changes = 0
    for index in range(200):
        row = tools.branched_row(random_draw(f"again {index}", LANGS[index % 2]))
        before = [call for message in row.messages for call in message.tool_calls]
        for branch in row.branches if before and "app" not in row.category else ():
            calls = [call for message in branch for call in message.tool_calls]
            if calls and calls[0].name == before[-1].name:
                old, new = before[-1].arguments, calls[0].arguments
                changes += sum(old[key] != value for key, value in new.items()) == 1
                assert old.keys() == new.keys()
    assert changes > 100


def test_a_new_value_has_its_label_where_another_parameter_could_be_meant() -> None:
    labelled = bare = 0
    for index in range(300):
        draw = random_draw(f"new value {index}", LANGS[index % 2])
        tool = tools.random_tool(draw)
        for param in tool.params:
            lines = tools.again_lines(draw, tool, param)
            others = [other.kind for other in tool.params if other is not param]
            if param.kind in others or (param.kind == "int" and "price" in others):
                assert all("<label>" in line for line in lines)
                labelled += 1
            bare += any("<label>" not in line for line in lines)
    assert min(labelled, bare) > 20


def test_many_choices_have_options_of_other_services_but_not_where_they_are_held_out() -> None:
    def choices(*, held_out: bool) -> dict[str, set[tuple[str, ...]]]:
        found: dict[str, set[tuple[str, ...]]] = {}
        for index in range(1200):
            tool = service(random_draw(index, "en", held_out=held_out))
            for place, param in enumerate(tool.params):
                if param.options:
                    found.setdefault(f"{tool.topic} {place}", set()).add(param.options)
                    assert len(set(param.options)) == len(param.options) > 1
        return found

    assert all(len(options) == 1 for options in choices(held_out=True).values())
    assert sum(len(options) > 1 for options in choices(held_out=False).values()) > 30


def test_a_request_names_every_value_in_one_message() -> None:
    for index in range(400):
        draw = random_draw(f"request {index}", LANGS[index % 2])
        tool = tools.random_tool(draw)
        values = tool.draw_values(draw)
        said = request(draw, tool, values)
        for param, value in zip(tool.params, values, strict=True):
            assert param.say(value) in said, (said, param)
        assert "<" not in said
        assert "[" not in said


def test_later_cells_run_after_earlier_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All cells of a conversation, run in one kernel, print what the row shows."""
    for index in range(60):
        row = code.code_row(random_draw(f"session {index}", LANGS[index % 2]))
        folder = tmp_path / str(index)
        folder.mkdir()
        monkeypatch.chdir(folder)
        for name, text in row.files.items():
            (folder / name).write_text(text, encoding="utf-8")
        namespace: dict[str, object] = {}
        for message, after in itertools.pairwise(row.messages):
            if message.tool_calls and after.content != IMAGE and "Error" not in after.content:
                assert _printed(_cell(message), namespace) == after.content, row


def test_cells_of_branches_run_after_those_that_they_share() -> None:
    later = 0
    for index in range(80):
        row = code.branched_row(random_draw(f"branches {index}", LANGS[index % 2]))
        before = [_cell(message) for message in row.messages if message.tool_calls]
        for branch in row.branches if before else ():
            cells = [*before, *(_cell(message) for message in branch if message.tool_calls)]
            if not any(word in cell for cell in cells for word in ("read_csv", "plt.")):
                namespace: dict[str, object] = {}
                assert all(_printed(cell, namespace) for cell in cells)
                later += 1
    assert later > 60


def _cell(message: Message) -> str:
    return str(message.tool_calls[0].arguments["code"])


def _printed(cell: str, namespace: dict[str, object]) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(cell, namespace)
    return out.getvalue().strip("\n") or NO_OUTPUT


def test_an_error_looks_as_ipython_prints_it() -> None:
    cell = "data = [1, 2]\nprint(sums(data))\nprint(1)"
    error = error_of(cell)
    assert error is not None
    assert traceback_of(cell, error, 3) == (
        "-" * 75 + "\n"
        "NameError                                 Traceback (most recent call last)\n"
        "Cell In[3], line 2\n"
        "      1 data = [1, 2]\n"
        "----> 2 print(sums(data))\n"
        "      3 print(1)\n"
        "\n"
        "NameError: name 'sums' is not defined"
    )


def test_a_syntax_error_points_at_its_place() -> None:
    cell = "x = 1\n    y = (2"
    error = error_of(cell)
    assert error is not None
    line, shown, pointer, text, end = traceback_of(cell, error, 1).split("\n")
    assert (line, shown, end) == ("  Cell In[1], line 2", "    y = (2", "")
    assert pointer.strip() == "^"
    assert text == "IndentationError: unexpected indent"


@pytest.mark.parametrize("lang", LANGS)
def test_a_correction_wins(lang: Lang) -> None:
    for index, fact in enumerate(phrases("chat")["facts"] * 4):
        draw = random_draw(f"correct {index}", lang)
        known: Known = {"fact": (fact, "the old value")}
        turn = correct(draw, known, "fact")
        value = str(known["fact"][1])
        assert value in turn.ask
        assert value in question(draw, *known["fact"]).say


def test_answers_have_the_ending_that_the_system_prompt_wants() -> None:
    draw = Draw(random.Random(3))
    rows = [chat.chat_row(draw.with_lang(LANGS[index % 2])) for index in range(400)]
    with_ending = 0
    for row in rows:
        prompt = row.messages[0].content if row.messages[0].role == Role.SYSTEM else ""
        answers = [m.content for m in row.messages if m.role == Role.ASSISTANT]
        quoted = re.findall(r"[\"“]([^\"“”]+)[\"”]", prompt)
        if quoted:
            with_ending += 1
            assert all(answer.endswith(quoted[0]) for answer in answers), row
    assert with_ending > 20


def test_synonyms_leave_the_slots() -> None:
    texts = {"en": "check <0> and book <find> today", "zh": "查一下<0>，订<1>"}
    for lang in LANGS:
        text = texts[lang]
        draw = random_draw("reword", lang)
        words = {reword(draw, text) for _ in range(50)}
        assert len(words) > 5
        assert all(text.count("<") == word.count("<") for word in words)


def test_tools_that_are_easily_confused_are_offered_together() -> None:
    draw = random_draw("similar", "en")
    services = (service(draw) for _ in itertools.count())
    light = next(tool for tool in services if tool.topic == "turn_on_light")
    assert light.similar is not None
    topics = {light.similar(draw).topic for _ in range(60)}
    assert "turn_off_light" in topics
    assert "turn_on_light" not in topics


def test_there_are_many_services_with_requests_in_both_languages() -> None:
    entries = service_entries()
    assert len(entries) >= 80
    names = [entry["names"][0].split()[0] for entry in entries]
    assert len(set(names)) == len(names)
    for entry in entries:
        slots = {f"<{i}>" for i in range(len(entry["params"]))}
        for lang in LANGS:
            for line in entry["ask"][lang]:
                assert set(re.findall(r"<\d>", line)) == slots, line


def test_the_report_tells_breadth_and_lengths() -> None:
    lines = report(60, 0)
    assert any(line.startswith("tool: ") for line in lines)
    assert any(line.startswith("distinct requests: ") for line in lines)
