"""Runs every cell and writes docs/compatibility.md: `python dev.py exec -- python -m compositions`."""

import logging
import sys
import time

import torch
from small_models import host  # noqa: F401  first: makes `comfy` importable
from tiny_models.rows import MODELS

import comfyui_version  # isort: skip
from . import document  # isort: skip
from .laws import EXACT  # isort: skip
from .matrix import cell, columns  # isort: skip
from .rows import COMPOSITIONS  # isort: skip


Failures = list[str]


@torch.no_grad()
def main() -> Failures:
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    outcomes: dict[document.Cell, str] = {}
    failures: Failures = []
    for name in columns():
        start = time.perf_counter()
        for composition in COMPOSITIONS:
            try:
                outcomes[name, composition.name] = cell(MODELS[name], composition)
            except Exception as failure:
                failures.append(f"{name}, {composition.name}: {type(failure).__name__}: {failure}")
                print(failures[-1], flush=True)
        passed = sum(outcomes.get((name, c.name)) == "pass" for c in COMPOSITIONS)
        print(f"{name}: {passed} of {len(COMPOSITIONS)} pass, {time.perf_counter() - start:.0f} s", flush=True)
    if not failures:
        document.write(outcomes, comfyui_version.__version__, EXACT)
    return failures


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
