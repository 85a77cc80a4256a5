"""docs/faults.md: each part made by the tests that it is about, and held to what they ran."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from .rows import FAULTS
from .setups import SETUPS, STEPS

PATH = Path(__file__).parents[2] / "docs" / "faults.md"
MATRIX = "In one run"
Cell = tuple[str, str]  # fault, setup


def matrix(moments: Mapping[Cell, str]) -> str:
    """One row for each fault; a column for each setup with how many moments it was tried at."""
    columns = "\n".join(f"{number}. {setup.name}" for number, setup in enumerate(SETUPS, 1))
    head = f"| fault | then | {' | '.join(map(str, range(1, len(SETUPS) + 1)))} |\n{'|---' * (len(SETUPS) + 2)}|\n"
    rows = [
        f"| {fault.name} | {fault.about} | {' | '.join(moments[fault.name, setup.name] for setup in SETUPS)} |\n"
        for fault in FAULTS
    ]
    return f"{STEPS} steps of:\n\n{columns}\n\n{head}{''.join(rows)}"


def section(title: str) -> str:
    (found,) = re.findall(rf"^## {title}\n\n(.*?)(?=^## |\Z)", PATH.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return found


def hold(title: str, table: str) -> None:
    """The section must end with this table. With HICACHE_WRITE_SNAPSHOT=1 it is written into it instead."""
    before = section(title)
    if os.environ.get("HICACHE_WRITE_SNAPSHOT"):
        start = table.splitlines()[0]
        kept = before[: before.index(start)] if start in before else before.rstrip() + "\n\n"
        after = PATH.read_text("utf-8").replace(before, f"{kept}{table}\n")
        PATH.write_text(after.rstrip() + "\n", "utf-8", newline="\n")
    assert section(title).rstrip().endswith(table.rstrip()), f"docs/faults.md, {title}: {table}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, ["---"] * len(head), *rows))
