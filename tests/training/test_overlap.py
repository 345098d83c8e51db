"""Requests that the acceptance set shares with the generator are found and named."""

from __future__ import annotations

from glmdemo.messages import Message, Role
from training.acceptance.items import Item, NoCall, Step
from training.generator.row import Row
from training.overlap import normal, shared_requests


def _item(name: str, *requests: str) -> Item:
    steps = tuple(Step(request, NoCall()) for request in requests)
    return Item(mode="chat", language="en", id=name, kind="talk", steps=steps)


def test_requests_are_the_same_up_to_numbers_case_and_punctuation() -> None:
    assert normal("What is 18.5% of 650?") == normal("what is 3% of 7")
    assert normal("求9的阶乘。") == normal("求12的阶乘")
    assert normal("hello there") != normal("hello")


def test_shared_requests_are_found_in_conversations_and_branches() -> None:
    rows = [
        Row("chat", "en", (Message(Role.USER, "Hello!"), Message(Role.ASSISTANT, "bye"))),
        Row("chat", "en", (), branches=((Message(Role.USER, "add 2 and 3"),),)),
    ]
    items = [_item("a", "hello", "bye"), _item("b", "Add 7 and 88."), _item("c", "my name")]
    assert shared_requests(items, rows) == {"hello": {"chat.en.a"}, "add 0 and 0": {"chat.en.b"}}
