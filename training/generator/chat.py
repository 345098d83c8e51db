"""Chat mode: small talk, identity, help, memory of told facts, echo, honest refusals."""

from __future__ import annotations

from glmdemo.messages import Message
from training.generator import code_numbers, code_plots
from training.generator.draw import Draw
from training.generator.lexicon import phrases
from training.generator.memory import memory, recalled
from training.generator.requests import request
from training.generator.row import Row, answer, system, user
from training.generator.services import service
from training.generator.turn import Turn
from training.generator.values import coined, date, hanzi, person, title, value, word
from training.generator.wording import phrase, plain

_KNOWLEDGE = ("translate_text", "find_recipe", "show_distance", "search_news")
"""Services that sound like questions of knowledge when no tool is near: those are refused."""

_STATEMENTS = ("greet", "morning", "afternoon", "evening", "night", "thanks", "bye")


def chat_row(draw: Draw) -> Row:
    """One conversation of chat mode."""
    form = draw.rng.random()
    if form < 0.09:
        return _named_row(draw)
    messages: list[Message] = []
    ending = ""
    if form < 0.2:
        ending = _ending(draw)
        messages.append(
            system(plain(draw, phrases("chat")["system"]["ending"][draw.lang], {"e": ending}))
        )
        ending = " " + ending
    elif form < 0.29:
        messages.append(system_prompt(draw))
    turns = _turns(draw)
    for turn in turns:
        messages += turn.messages(ending)
    return Row(f"chat/{turns[-1].kind}", draw.lang, tuple(messages))


def branched_row(draw: Draw) -> Row:
    """Told facts, and ways in which the conversation goes on: questions about them, and others."""
    shared = [system_prompt(draw)] if draw.chance(0.09) else []
    told, questions = recalled(draw, _single)
    for turn in told:
        shared += turn.messages()
    following = [*questions, *(_single(draw) for _ in range(2))]
    draw.rng.shuffle(following)
    branches = tuple(tuple(turn.messages()) for turn in following)
    return Row("chat/branches", draw.lang, tuple(shared), branches=branches)


def _turns(draw: Draw) -> list[Turn]:
    """The turns of a conversation: told facts and questions about them, mixed with the rest."""
    if draw.chance(0.45):
        return memory(draw, _single)
    count = draw.pick((1, 1, 1, 2, 3)) if draw.level > 0.3 else 1
    return [_single(draw), *(_single(draw.now_and_then_in_other_lang()) for _ in range(count - 1))]


def _single(draw: Draw) -> Turn:
    form = draw.rng.random()
    if form < 0.32:
        return talk(draw)
    if form < 0.82:
        return refusal(draw)
    return elsewhere(draw) if form < 0.89 else echo(draw)


def small_talk(draw: Draw) -> list[Message]:
    """A turn that needs no tool, for the other modes."""
    return talk(draw).messages()


def talk(draw: Draw, kind: str | None = None) -> Turn:
    """Greeting, thanks, identity, help; identity and greetings come more often."""
    if draw.held_out:
        return _held_talk(draw, kind)
    intents = phrases("chat")["talk"]
    if kind is None:
        kind = draw.pick((*intents, *("greet", "identity") * 3, "abilities", "thanks", "bye"))
    intent = intents[kind]
    ask = phrase(draw, intent["ask"][draw.lang], statement=kind in _STATEMENTS)
    return Turn(kind, ask, plain(draw, intent["say"][draw.lang]))


def _held_talk(draw: Draw, kind: str | None) -> Turn:
    held = phrases("chat")["held"]
    kind = kind or draw.pick([name for name in held if name != "refuse"])
    say = phrases("chat")["talk"][kind]["say"][draw.lang]
    return Turn(kind, phrase(draw, held[kind][draw.lang]), plain(draw, say))


def refusal(draw: Draw) -> Turn:
    """A request that a small model cannot answer, and the honest reply."""
    say = plain(draw, phrases("chat")["refuse"]["say"][draw.lang])
    if draw.held_out:
        asks = phrases("chat")["held"]["refuse"][draw.lang]
    else:
        asks = phrases("refuse")[draw.lang] if draw.chance(0.8) else _asks_of_chat(draw)
    slots = {
        "x": _topic(draw),
        "y": _topic(draw),
        "n": draw.rng.randint(1200, 2030),
        "who": plain(draw, phrases("refuse")["who"][draw.lang]),
    }
    return Turn("refuse", phrase(draw, asks, slots), say)


def _asks_of_chat(draw: Draw) -> tuple[str, ...]:
    asks: tuple[str, ...] = phrases("chat")["refuse"]["ask"][draw.lang]
    return asks


def elsewhere(draw: Draw) -> Turn:
    """A request for a service or a computation, which chat mode has no means for."""
    says = phrases("chat")["elsewhere"]
    if draw.chance(0.5):
        tool = service(draw)
        while tool.topic in _KNOWLEDGE:
            tool = service(draw)
        ask = request(draw, tool, tool.draw_values(draw))
        return Turn("elsewhere", ask, plain(draw, says["tool"][draw.lang]))
    make = draw.pick((code_numbers.expression, code_numbers.statistics, code_plots.function_graph))
    return Turn("elsewhere", make(draw).ask, plain(draw, says["code"][draw.lang]))


def _topic(draw: Draw) -> str:
    """What a question is about: mostly a subject of knowledge, else any word."""
    if draw.chance(0.6):
        return plain(draw, phrases("refuse")["topics"][draw.lang])
    kind = draw.pick(
        ("word", "word", "city", "person", "title", "food", "color", "language", "pet")
    )
    return str(value(draw, kind))


def echo(draw: Draw) -> Turn:
    """Words to be repeated exactly."""
    text = _short_phrase(draw)
    if draw.chance(0.3):
        text = plain(draw, phrases("chat")["echo"]["text"][draw.lang], _words_to_echo(draw))
    ask = plain(draw, phrases("chat")["echo"]["ask"][draw.lang], {"x": text})
    return Turn("echo", ask, text)


def _words_to_echo(draw: Draw) -> dict[str, str]:
    other = draw.in_other_lang()
    kinds = {name: str(value(draw, name)) for name in ("word", "phrase", "code", "person", "city")}
    return {**kinds, "foreign": word(other), "n": str(value(draw, "int"))}


def _ending(draw: Draw) -> str:
    """What a system prompt wants at the end of every answer."""
    slots = {kind: value(draw, kind) for kind in ("word", "phrase", "person", "code")}
    return plain(draw, phrases("chat")["system"]["ending_text"][draw.lang], slots)


def _short_phrase(draw: Draw) -> str:
    kinds = ("word", "word", "title", "phrase", "code", "person", "food")
    count = draw.pick((1, 1, 2, 3))
    return draw.by_lang(" ", "").join(str(value(draw, draw.pick(kinds))) for _ in range(count))


def system_prompt(draw: Draw) -> Message:
    """A system prompt that changes nothing about the answers."""
    slots = {"date": date(draw), "p": person(draw), "w": word(draw)}
    return system(plain(draw, phrases("chat")["system"]["plain"][draw.lang], slots))


def _named_row(draw: Draw) -> Row:
    """A system prompt gives the assistant a name."""
    part = phrases("chat")["system"]
    name = coined(draw, 2).capitalize() if draw.lang == "en" else hanzi(draw, 2)
    if draw.chance(0.3):
        name = draw.pick((person(draw), title(draw), coined(draw.with_lang("en"), 2).capitalize()))
    messages = [system(plain(draw, part["name"][draw.lang], {"n": name}))]
    if draw.chance(0.4):
        messages += talk(draw, draw.pick(("greet", "thanks", "joke", "how_are_you"))).messages()
    ask = phrase(draw, part["name_ask"][draw.lang])
    messages += [user(ask), answer(plain(draw, part["name_say"][draw.lang], {"n": name}))]
    return Row("chat/named", draw.lang, tuple(messages))
