"""Workflows with nodes switched off, at random: what an artist does to them most often."""

import random
from copy import deepcopy
from typing import Any

ALWAYS, MUTED, BYPASSED = 0, 2, 4
MODES = [ALWAYS] * 6 + [MUTED] + [BYPASSED] * 3


def switch_off(workflow: dict[str, Any], seed: str) -> dict[str, Any]:
    """Some nodes of the workflow and of its subgraphs, always the same ones for a seed."""
    dice, changed = random.Random(seed), deepcopy(workflow)  # noqa: S311 - no secret
    for graph in [changed, *changed.get("definitions", {}).get("subgraphs", [])]:
        for node in graph["nodes"]:
            node["mode"] = dice.choice(MODES)
    return changed
