"""Runs every cell on all cores and writes docs/compatibility.md: `python dev.py exec -- python -m compositions`."""

import logging
import multiprocessing
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


Outcomes = dict[document.Cell, str]
Failures = list[str]


def run_model(name: str) -> tuple[Outcomes, Failures]:
    outcomes: Outcomes = {}
    failures: Failures = []
    start = time.perf_counter()
    for composition in COMPOSITIONS:
        try:
            outcomes[name, composition.name] = cell(MODELS[name], composition)
        except Exception as failure:
            failures.append(f"{name}, {composition.name}: {type(failure).__name__}: {failure}")
    passed = sum(outcome == "pass" for outcome in outcomes.values())
    took = time.perf_counter() - start
    print(f"{name}: {passed} of {len(COMPOSITIONS)} pass, {took:.0f} s", *failures, sep="\n", flush=True)
    return outcomes, failures


def quiet() -> None:
    """Of every process."""
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)


def main() -> int:
    quiet()
    outcomes: Outcomes = {}
    failures: Failures = []
    with multiprocessing.get_context("spawn").Pool(initializer=quiet) as pool:
        for found, broken in pool.imap(run_model, columns()):
            outcomes |= found
            failures += broken
    if not failures:
        document.write(outcomes, comfyui_version.__version__, EXACT)
    return len(failures)


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
