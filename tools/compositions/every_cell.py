"""Every cell of the matrix, on all cores."""

import logging
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor

import torch
from tiny_models.rows import MODELS

from .document import Cell
from .matrix import cell, columns
from .rows import COMPOSITIONS

Outcomes = dict[Cell, str]
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
    """In every process."""
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)


def run_all() -> tuple[Outcomes, Failures]:
    outcomes: Outcomes = {}
    failures: Failures = []
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(multiprocessing.cpu_count(), spawn, initializer=quiet) as pool:
        for found, broken in pool.map(run_model, columns()):
            outcomes |= found
            failures += broken
    return outcomes, failures
