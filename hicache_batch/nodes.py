"""The nodes of a prompt by title or id, and what their inputs take."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from .errors import Refusal

Prompt = dict[str, dict[str, Any]]
SEEDS = ("seed", "noise_seed")
LISTED = 12  # names in a refusal


class Input(NamedTuple):
    """An input of a node of a prompt."""

    node: str
    name: str


def title_of(node: dict[str, Any]) -> str:
    return str((node.get("_meta") or {}).get("title") or node["class_type"])


def is_link(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)


def find(prompt: Prompt, target: str, object_info: dict[str, Any]) -> Input:
    """The input that ``TITLE.input`` or ``ID.input`` names; titles and inputs may have dots themselves.

    Raises Refusal naming what exists.
    """
    named = [key for key, node in prompt.items() for name in (key, title_of(node)) if target.startswith(f"{name}.")]
    if not named:
        nodes = _listed(f"{title_of(node)} ({key})" for key, node in prompt.items())
        raise Refusal(f"{target!r} names no node of the workflow: write NODE.input, where NODE is one of {nodes}.")
    found = [place for key in dict.fromkeys(named) for place in _inputs(key, prompt[key], target, object_info)]
    if not found:
        inputs = _listed(f"{title_of(prompt[key])}.{name}" for key in named for name in prompt[key]["inputs"])
        raise Refusal(f"{target!r} names no input: choose one of {inputs}.")
    if len(found) > 1:
        choices = ", ".join(f"{place.node}.{place.name}" for place in found)
        raise Refusal(f"{target!r} is several inputs: say which by the node's id, {choices}.")
    return found[0]


def _inputs(key: str, node: dict[str, Any], target: str, object_info: dict[str, Any]) -> Iterator[Input]:
    known = {*node["inputs"], *definitions(node, object_info)}
    for prefix in {key, title_of(node)}:
        name = target.removeprefix(f"{prefix}.")
        if name != target and name in known:
            yield Input(key, name)


def definitions(node: dict[str, Any], object_info: dict[str, Any]) -> dict[str, Any]:
    """[type, options] of the inputs of a node's class, as the server gives them."""
    info = object_info.get(node["class_type"], {}).get("input", {})
    return {**info.get("required", {}), **info.get("optional", {})}


def describe(prompt: Prompt, place: Input) -> str:
    return f"{title_of(prompt[place.node])} ({place.node}).{place.name}"


def _listed(names: Iterator[str]) -> str:
    found = list(dict.fromkeys(names))
    more = len(found) - LISTED
    return ", ".join(found[:LISTED]) + (f" and {more} more" if more > 0 else "")


def seeds(prompt: Prompt) -> list[Input]:
    """Every input of this name with a number or a link."""
    found = [Input(key, name) for key, node in prompt.items() for name in SEEDS if name in node["inputs"]]
    return [place for place in found if is_whole(value_of(prompt, place)) or is_link(value_of(prompt, place))]


def source_of_seed(prompt: Prompt, place: Input) -> Input | None:
    """Where its number is written: there, or in a node that has a seed itself or one number for seeds alone."""
    value = value_of(prompt, place)
    if not is_link(value):
        return place
    inputs = prompt.get(value[0], {}).get("inputs", {})
    numbers = [name for name in inputs if is_whole(inputs[name])]
    own = [name for name in numbers if name in SEEDS]
    if not own and (any(map(is_link, inputs.values())) or not _feeds_seeds_alone(prompt, value[0])):
        return None
    found = own or numbers
    return Input(value[0], found[0]) if len(found) == 1 else None


def _feeds_seeds_alone(prompt: Prompt, key: str) -> bool:
    inputs = [pair for node in prompt.values() for pair in node["inputs"].items()]
    return all(name in SEEDS for name, value in inputs if is_link(value) and value[0] == key)


def value_of(prompt: Prompt, place: Input) -> Any:
    return prompt[place.node]["inputs"][place.name]


def is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def texts(prompt: Prompt) -> list[Input]:
    """Every input with a text written into it that could be a prompt."""
    names = ("text", "prompt", "clip_l", "clip_g", "t5xxl", "value", "string")
    return [
        Input(key, name) for key, node in prompt.items() for name in names if isinstance(node["inputs"].get(name), str)
    ]


def prompt_text(prompt: Prompt) -> Input:
    """Where the words go: the one text that a positive conditioning is made of, or the only one of the workflow.

    Raises Refusal if there is none, or more than one.
    """
    for found in (_behind(prompt, "positive"), _behind(prompt, "conditioning"), texts(prompt)):
        if len(found) == 1:
            return found[0]
    choices = _listed(describe(prompt, place) for place in texts(prompt)) or "none with a text"
    raise Refusal(f"Where do prompts go? Say --set 'NODE.input={{prompt}}'; the workflow's texts are {choices}.")


def _behind(prompt: Prompt, socket: str) -> list[Input]:
    """The nearest texts that the nodes with such a socket get through links."""
    starts = [node["inputs"][socket] for node in prompt.values() if is_link(node["inputs"].get(socket))]
    found, seen, front = [], set(), {link[0] for link in starts}
    while front:
        seen |= front
        here = [place for place in texts(prompt) if place.node in front]
        found += here
        front = {key for node in front - {p.node for p in here} for key in _sources(prompt, node)} - seen
    return found


def _sources(prompt: Prompt, key: str) -> Iterator[str]:
    inputs = prompt.get(key, {}).get("inputs", {})
    followed = [name for name in ("positive", "conditioning", "text", "prompt") if is_link(inputs.get(name))]
    for name in followed or inputs:
        if is_link(inputs[name]):
            yield inputs[name][0]
