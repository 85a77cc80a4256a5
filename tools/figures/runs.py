"""Runs of the small Flux, step by step."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from small_models.sampling import Job, jobs, load_flux, noise_levels, sample
from torch import Tensor

from hicache_comfy import attach, last_report
from hicache_core import RunReport, Settings, presets
from hicache_core.density import step_moves

from .mathematics import plain

CALLS = 10
TOLERANCES = ((0.001, "#67a9cf"), (0.003, "#2166ac"), (0.01, "#b2182b"))


def latents(model: Any, job: Job) -> list[Tensor]:
    """The latent that every step starts from."""
    seen: list[Tensor] = []
    sample(model, job, callback=lambda step, x0, x, total: seen.append(x.clone()))
    return seen


def run(model: Any, job: Job, settings: Settings) -> tuple[list[Tensor], RunReport]:
    patched = attach(model, settings)
    seen = latents(patched, job)
    report = last_report(patched)
    assert report is not None
    return seen, report


def corrector(path: Path) -> None:
    """How far the latent is from that of the full run, with and without the corrector, at the same steps."""
    model, (job,) = load_flux("test"), jobs("test", 1)
    full = latents(model, job)
    figure, axis = plt.subplots(figsize=(8, 4), layout="constrained")
    settings = presets.speed(job.steps / CALLS)
    for label, used, color in (
        ("without", replace(settings, corrector=False), "#e08214"),
        ("with the corrector", settings, "#2166ac"),
    ):
        seen, report = run(model, job, used)
        off = [float((a - b).norm() / b.norm()) for a, b in zip(seen, full, strict=True)]
        computed = [e.step for e in report.evaluations if e.action != "forecast"]
        axis.semilogy(range(len(off)), off, color=color, label=label)
        axis.semilogy(computed, [off[k] for k in computed], "o", color=color, markersize=4)
    plain(
        axis,
        f"Small Flux, test split, seed {job.seed}, {CALLS} of {job.steps} Euler steps computed (dots)",
        xlabel="step",
        ylabel="distance to the full run, relative",
    )
    axis.legend(frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def step_size(path: Path) -> None:
    """What the controller measured at every computed step, and where it put the next."""
    model, (job,) = load_flux("test"), jobs("test", 1)
    sigmas = noise_levels(model, job.steps)
    figure, (above, below) = plt.subplots(2, 1, figsize=(8, 5), sharex=True, layout="constrained", height_ratios=(3, 1))
    for row, (tolerance, color) in enumerate(TOLERANCES):
        _, report = run(model, job, presets.adaptive(tolerance))
        moves = step_moves(sigmas, flow=True, floor=report.signal_floor)
        computed = [e for e in report.evaluations if e.action != "forecast"]
        drifts = [
            (now.step, now.error * sum(moves[before.step : now.step]))
            for before, now in pairwise(computed)
            if now.error is not None
        ]
        above.semilogy(*zip(*drifts, strict=True), "o-", color=color, markersize=4, linewidth=0.8)
        above.axhline(tolerance, color=color, linewidth=0.8, linestyle="--")
        below.plot([e.step for e in computed], [row] * len(computed), "o", color=color, markersize=4)
    plain(above, f"Small Flux, test split, seed {job.seed}: drift of every gap, and the tolerance (dashed)")
    plain(below, "Computed steps", xlabel="step")
    below.set_yticks(range(len(TOLERANCES)), [f"{tolerance:g}" for tolerance, _ in TOLERANCES])
    below.set_ylim(-0.6, len(TOLERANCES) - 0.4)
    figure.savefig(path, dpi=110)
    plt.close(figure)
