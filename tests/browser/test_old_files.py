"""Workflows that earlier versions saved: values are saved by position, so new widgets go to the end. Old files stay."""

import json
from pathlib import Path

import pytest
from frontend.timeline import wait_for

pytestmark = pytest.mark.browser

SAVED = Path(__file__).parent / "saved"
PATCH = {"mode": "target speed", "speed": 2.5, "tolerance": 0.05}
SETTINGS = {
    "basis": "taylor",
    "order": 2,
    "contraction": 0.35,
    "warmup_steps": 4,
    "start_percent": 0.05,
    "end_percent": 0.95,
    "max_gap": 5,
    "explosion_limit": 40,
    "corrector": False,
    "level": "stack",
    "stabilizer": False,
    "steps": "0, 1, 5-9",
    "cache_device": "auto",  # did not exist
    "signal_floor": 0,  # nor did this
}
FILES = {
    "first_example.json": ({"HiCachePatchModel": PATCH}, "20 of 50 steps computed"),
    "settings_before_cache_device.json": (
        {"HiCachePatchModel": {"mode": "paper", "speed": 7, "tolerance": 0.02}, "HiCacheSettings": SETTINGS},
        " of 50 steps computed",
    ),
}


def inputs(prompt, kind):
    """What the server is sent for a node, without its links."""
    (node,) = (node for node in prompt.values() if node["class_type"] == kind)
    return {name: value for name, value in node["inputs"].items() if not isinstance(value, list)}


def test_every_file_is_looked_at():
    assert {file.name for file in SAVED.iterdir()} == set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_it_opens_with_the_values_it_was_saved_with(frontend, name):
    expected, plan = FILES[name]
    frontend.open_anew(json.loads((SAVED / name).read_text("utf-8")))
    prompt = frontend.evaluate("async () => (await app.graphToPrompt()).output")
    assert {kind: inputs(prompt, kind) for kind in expected} == expected
    wait_for(frontend, plan)
