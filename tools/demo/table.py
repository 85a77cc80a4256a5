"""The runs in figures."""

import math
from statistics import mean

from .measure import Run

COLUMNS = ("variant", "network calls", "seconds", "speed-up", "PSNR mean", "PSNR worst")


def decibels(value: float) -> str:
    return "identical" if math.isinf(value) else f"{value:.1f} dB"


def row(run: Run, baseline: Run) -> tuple[str, ...]:
    cost = (run.variant.name, f"{run.calls:g}", f"{run.seconds:.1f}", f"{baseline.seconds / run.seconds:.2f}x")
    if run is baseline:
        return (*cost, "-", "-")
    psnrs = run.psnrs(baseline)
    return (*cost, decibels(mean(psnrs)), decibels(min(psnrs)))


def table(runs: list[Run]) -> str:
    """Aligned text; the first run is the baseline. Calls are those of one picture, seconds the sampler's for all."""
    rows = [COLUMNS, *(row(run, runs[0]) for run in runs)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(_aligned(cells, widths)) for cells in rows)


def _aligned(cells: tuple[str, ...], widths: list[int]) -> list[str]:
    first, *others = (cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
    return [first.strip().ljust(widths[0]), *others]
