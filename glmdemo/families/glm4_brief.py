"""A brief form of GLM-4's chat format, for a small network that is trained on it.

    [gMASK]<sop><|system|>\\n{schema}\\n## {tool}<|user|>\\n{question}<|assistant|>...

Turns and replies are GLM-4's. Tools are told in fewer tokens, and each name stands right behind the
description of what it is for: a token sees only what is before it, so the name that a call copies
can be chosen by its description.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from glmdemo.families.glm4 import GLM4_COMPACT, Glm4Family


@dataclass(frozen=True)
class Glm4BriefFamily(Glm4Family):
    """GLM-4's format with briefer tools."""

    def _headed(self, name: str, text: str) -> str:
        return f"{text}\n## {name}"

    def _told(self, schema: Mapping[str, Any]) -> str:
        return json.dumps(_brief(schema), ensure_ascii=False)


GLM4_BRIEF = Glm4BriefFamily(
    name="glm4-brief",
    preamble=GLM4_COMPACT.preamble,
    sections=GLM4_COMPACT.sections,
    calls=GLM4_COMPACT.calls,
)


def _brief(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A function schema without what goes without saying: its name, which stands below it, the
    object around the parameters, and which are required where all are. Nothing else is lost.

    Descriptions stand last, next to the names that they describe.
    """
    brief = dict(schema)
    parameters = schema.get("parameters")
    if isinstance(parameters, Mapping) and _is_plain_object(parameters):
        properties = parameters["properties"]
        required = list(parameters.get("required", ()))
        brief["parameters"] = [
            {**_described_last(own), "name": name} for name, own in properties.items()
        ]
        if set(required) != set(properties):
            brief["required"] = required
    brief.pop("name", None)
    return _described_last(brief)


def _described_last(schema: Mapping[str, Any]) -> dict[str, Any]:
    about = {key: value for key, value in schema.items() if key == "description"}
    return {key: value for key, value in schema.items() if key != "description"} | about


def _is_plain_object(schema: Mapping[str, Any]) -> bool:
    """Whether a schema says nothing but names and schemas of properties, and which it needs."""
    properties = schema.get("properties")
    return (
        schema.keys() <= {"type", "properties", "required"}
        and schema.get("type") == "object"
        and isinstance(properties, Mapping)
        and all(isinstance(own, Mapping) and "name" not in own for own in properties.values())
    )
