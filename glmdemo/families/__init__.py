"""Model families: chat formats by name. Adding one means adding a module and a line here."""

from glmdemo.errors import SettingsError
from glmdemo.families.base import GENERIC, Family, Piece, ReplyParser, Tokenizer, build_chat_input
from glmdemo.families.chatglm import CHATGLM, CHATGLM2
from glmdemo.families.chatglm3 import CHATGLM3
from glmdemo.families.glm4 import GLM4, GLM4_COMPACT
from glmdemo.families.glm4_0414 import GLM4_0414
from glmdemo.families.glm4_brief import GLM4_BRIEF
from glmdemo.families.glm45 import GLM45, GLM45_NOTHINK

_KNOWN = (
    CHATGLM,
    CHATGLM2,
    CHATGLM3,
    GLM4,
    GLM4_COMPACT,
    GLM4_BRIEF,
    GLM4_0414,
    GLM45,
    GLM45_NOTHINK,
)

FAMILIES: dict[str, Family] = {family.name: family for family in _KNOWN}


def get_family(name: str) -> Family:
    """The family called `name`. Raises SettingsError that lists the names there are."""
    try:
        return FAMILIES[name]
    except KeyError:
        known = ", ".join(sorted([*FAMILIES, GENERIC]))
        raise SettingsError(
            f"MODEL_FAMILY is {name!r}, which is unknown; known families: {known}."
        ) from None


__all__ = [
    "FAMILIES",
    "GENERIC",
    "Family",
    "Piece",
    "ReplyParser",
    "Tokenizer",
    "build_chat_input",
    "get_family",
]
