"""Two prompts, and how they differ."""

from collections.abc import Iterator
from typing import Any

Prompt = dict[str, dict[str, Any]]


def differences(theirs: Prompt, ours: Prompt) -> Iterator[str]:
    """One line each, of a few kinds: what comes before the first colon tells which."""
    yield from (f"node missing: {key} {theirs[key]['class_type']}" for key in theirs.keys() - ours.keys())
    yield from (f"node too many: {key} {ours[key]['class_type']}" for key in ours.keys() - theirs.keys())
    for key in sorted(theirs.keys() & ours.keys()):
        kind = theirs[key]["class_type"]
        if kind != ours[key]["class_type"]:
            yield f"class: {key} {kind}, ours {ours[key]['class_type']}"
        if theirs[key]["_meta"] != ours[key]["_meta"]:
            yield f"title: {key} {kind}: {theirs[key]['_meta']}, ours {ours[key]['_meta']}"
        yield from _input_differences(f"{key} {kind}", theirs[key]["inputs"], ours[key]["inputs"])


def _input_differences(node: str, theirs: dict[str, Any], ours: dict[str, Any]) -> Iterator[str]:
    yield from (f"input missing: {node}.{name} = {theirs[name]!r}" for name in theirs.keys() - ours.keys())
    yield from (f"input too many: {node}.{name} = {ours[name]!r}" for name in ours.keys() - theirs.keys())
    for name in theirs.keys() & ours.keys():
        if theirs[name] != ours[name]:
            yield f"value: {node}.{name} = {theirs[name]!r}, ours {ours[name]!r}"
