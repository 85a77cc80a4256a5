"""docs/compatibility.md: written from outcomes, and read back."""

import re
from collections.abc import Iterator, Mapping
from itertools import chain, count, product
from pathlib import Path
from string import ascii_lowercase

from tiny_models.rows import MODELS

from .rows import COMPOSITIONS

PATH = Path(__file__).parents[2] / "docs" / "compatibility.md"
Cell = tuple[str, str]  # model, composition
COLUMNS = 16  # of a table; more do not fit on a page
PASS = "✓"

HEAD = """# Compatibility

One model of every class of the host, tiny and with random weights in the host's own classes, with everything that
the host's nodes can put around it, on ComfyUI {version}. `python dev.py exec -- python -m compositions` runs every
cell and writes this page; it is never edited by hand, and a test holds it to what its run shows.

{PASS} means, with *speed 2.0* and 8 steps of euler at level output:

- steps were forecast, and the result is finite;
- at every evaluation the network, ControlNets and model patches run exactly as often as without HiCache, and not at
  all at a forecast one;
- the step callback is called as often;
- with speed 1, tried in every third cell, the result is bit for bit the one without HiCache;
- if every condition keeps the direction that the network gave it first, the run with forecasts and the run without
  agree to {exact:g}, in the result and in all that step callbacks are shown: no history of one condition, area,
  window, LoRA strength or guidance pass is taken for another's.

Tests try the same compositions with a few models in bfloat16, and at the levels stack and block, where the network is
entered at every step: there a run whose noise level hardly changes must be forecast closely, so that nothing is left
out and no ControlNet is added twice.

Beside this table graphs are drawn by chance: a model, a composition, a sampler, a scheduler, 1 to 60 steps, a batch, a
level and settings. Each must run without an error and leave no byte behind, its result must be finite, with speed 1 it
must be bit for bit the one without HiCache, the step callback is called as often (but for dpm_adaptive, which chooses
its steps by the values that it sees), and a run of 60 evaluations or more without a forecast must say why. A graph that
does not run without HiCache either is drawn again. Every change runs 24 of them; `python dev.py test
tests/host/test_random_graphs.py --long` runs 200, and all 200 kept these laws.

`=` means that nothing could be forecast: the result is bit for bit the one without HiCache, and the log says why. A
letter says why there is nothing to test. "The host itself fails" is what the run without HiCache did: some networks
cannot do it, and some would need other inputs than these tiny ones.

"""


def write(outcomes: Mapping[Cell, str], version: str, exact: float) -> None:
    PATH.write_text(render(outcomes, version, exact), "utf-8")


def render(outcomes: Mapping[Cell, str], version: str, exact: float) -> str:
    notes = _notes(outcomes)
    legend = "".join(f"- **{mark}** {reason}\n" for reason, mark in notes.items())
    models = [name for name in MODELS if any(model == name for model, _ in outcomes)]
    groups = [models[i : i + COLUMNS] for i in range(0, len(models), COLUMNS)]
    tables = "\n".join("\n".join(_table(group, outcomes, notes)) for group in groups)
    return HEAD.format(version=version, exact=exact, PASS=PASS) + legend + "\n" + tables


def _notes(outcomes: Mapping[Cell, str]) -> dict[str, str]:
    """A mark for every outcome that is not a pass, in the order of the table."""
    letters, numbers = chain(ascii_lowercase, map("".join, product(ascii_lowercase, repeat=2))), count(1)
    marks: dict[str, str] = {}
    for outcome in (outcomes.get((name, c.name), "pass") for name in MODELS for c in COMPOSITIONS):
        if outcome != "pass" and outcome not in marks:
            marks[outcome] = next(letters) if outcome.startswith("n/a") else f"={next(numbers)}"
    return marks


def _table(models: list[str], outcomes: Mapping[Cell, str], notes: Mapping[str, str]) -> Iterator[str]:
    yield f"## {models[0]} to {models[-1]}\n"
    yield ", ".join(f"{i} {name}" for i, name in enumerate(models, 1)) + ".\n"
    yield "| | " + " | ".join(map(str, range(1, len(models) + 1))) + " |"
    yield "|---" * (len(models) + 1) + "|"
    group = ""
    for composition in COMPOSITIONS:
        if composition.group != group:
            group = composition.group
            yield f"| **{group}** | " + " | ".join(map(str, range(1, len(models) + 1))) + " |"
        cells = (outcomes[model, composition.name] for model in models)
        yield f"| {composition.name} | " + " | ".join(notes.get(cell, PASS) for cell in cells) + " |"
    yield ""


def read(text: str) -> dict[Cell, str]:
    """The outcomes that ``render`` wrote."""
    meaning = {PASS: "pass", **dict(re.findall(r"^- \*\*(.+?)\*\* (.+)$", text, re.MULTILINE))}
    outcomes: dict[Cell, str] = {}
    for section in text.split("\n## ")[1:]:
        _, names, *lines = [line for line in section.splitlines() if line]
        models = [found.strip() for found in re.split(r"(?:^|, )\d+ ", names.rstrip("."))[1:]]
        for line in lines[2:]:
            name, *marks = [part.strip() for part in line.strip("|").split("|")]
            if not name.startswith("**"):
                outcomes |= {(model, name): meaning[mark] for model, mark in zip(models, marks, strict=True)}
    return outcomes
