"""Texts and numbers of a row as a node's input takes them."""

import math
from collections.abc import Callable
from typing import Any

from .errors import Refusal
from .nodes import Input, Prompt, definitions, describe, is_link

Convert = Callable[[Any], Any]
TRUE, FALSE = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}


def converter(prompt: Prompt, place: Input, object_info: dict[str, Any]) -> Convert:
    """Of values for an input: it gives None for an empty cell, which leaves the workflow's own value, and raises
    ValueError with a reason.

    Raises Refusal for an input that takes no value.
    """
    kind, options = _definition(prompt[place.node], place.name, object_info)
    if kind == "COMBO":
        return lambda value: _choice(value, options.get("options") or [])
    if kind in NUMBERS:
        return lambda value: None if value == "" else _bounded(NUMBERS[kind](value), options)
    if kind not in OTHERS:
        raise Refusal(f"{describe(prompt, place)} takes a {kind}, which is no text and no number: bind another input.")
    return OTHERS[kind]


def _definition(node: dict[str, Any], name: str, object_info: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Kind and options; for what a dynamic input brings, and for a pack's own kinds, the kind of what is written."""
    kind, options = (*definitions(node, object_info).get(name, ("",)), {})[:2]
    if isinstance(kind, list):
        return "COMBO", {"options": kind}
    written = _kind_of(node["inputs"].get(name))
    known = kind == "COMBO" or kind in NUMBERS or kind in OTHERS
    return kind if known or (kind and written not in {*NUMBERS, *OTHERS}) else written, options


def _kind_of(value: Any) -> str:
    kinds = {bool: "BOOLEAN", int: "INT", float: "FLOAT", str: "STRING"}
    return "link" if is_link(value) else kinds.get(type(value), type(value).__name__)


def _number(value: Any) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError("write a number")
    return number


def _whole(value: Any) -> int:
    """Not through a float, which knows no large seeds."""
    if isinstance(value, bool):
        raise ValueError("write a whole number")
    try:
        return int(str(value).strip())
    except ValueError:
        pass
    if not _number(value).is_integer():
        raise ValueError("write a whole number")
    return int(_number(value))


def _bounded(value: float, options: dict[str, Any]) -> float:
    low, high = options.get("min", -math.inf), options.get("max", math.inf)
    if not low <= value <= high:
        raise ValueError(f"choose from {low} to {high}")
    return value


def _truth(value: Any) -> bool | None:
    word = str(value).strip().lower()
    if word and word not in TRUE | FALSE:
        raise ValueError("write true or false")
    return word in TRUE if word else None


def _choice(value: Any, choices: list[Any]) -> Any:
    """Any where there is no list: some nodes fetch theirs in the browser."""
    if value == "" and value not in choices:
        return None
    fitting = [choice for choice in choices if str(choice) == str(value)]
    if choices and not fitting:
        raise ValueError("choose one of " + ", ".join(map(str, choices[:12])) + (" ..." if len(choices) > 12 else ""))
    return fitting[0] if fitting else value


NUMBERS: dict[str, Convert] = {"INT": _whole, "FLOAT": _number}
OTHERS: dict[str, Convert] = {"BOOLEAN": _truth, "STRING": str}
