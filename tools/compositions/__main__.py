"""Runs every cell and writes docs/compatibility.md: `python dev.py exec -- python -m compositions`."""

import logging
import time

import torch
from small_models import host  # noqa: F401  first: makes `comfy` importable
from tiny_models.rows import MODELS

import comfyui_version  # isort: skip
from . import document  # isort: skip
from .laws import EXACT  # isort: skip
from .matrix import cell  # isort: skip
from .rows import COMPOSITIONS  # isort: skip


@torch.no_grad()
def main() -> None:
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    outcomes: dict[document.Cell, str] = {}
    for row in MODELS.values():
        start = time.perf_counter()
        for composition in COMPOSITIONS:
            outcomes[row.name, composition.name] = cell(row, composition)
        passed = sum(outcomes[row.name, c.name] == "pass" for c in COMPOSITIONS)
        print(f"{row.name}: {passed} of {len(COMPOSITIONS)} pass, {time.perf_counter() - start:.0f} s", flush=True)
    document.write(outcomes, comfyui_version.__version__, EXACT)


if __name__ == "__main__":
    main()
