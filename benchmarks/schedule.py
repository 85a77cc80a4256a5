"""Where to spend the calls: the density behind *target speed* against its parts and against even steps.

python dev.py exec -- python benchmarks/schedule.py --out docs/benchmarks/schedule_flux.md
python dev.py exec -- python benchmarks/schedule.py --model qwen_image --cfg 4 \\
    --out docs/benchmarks/schedule_qwen_image.md

The first table: latent PSNR to the full run; every row differs in the computed steps only. The second: is the drift
that the corrector finds in a gap, divided by the square of the gap in the density, the same all along the run? The
third: how few calls make sense?
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import median
from typing import Any

import matplotlib.pyplot as plt
import torch
from harness import (
    MODELS,
    Subject,
    cached,
    fewer_steps,
    full_runs,
    heading,
    mean_and_worst,
    measure,
    option_parser,
    work_of,
    write,
)
from small_models.sampling import Job, noise_levels
from torch import Tensor
from tqdm import tqdm

from hicache_comfy import attach
from hicache_core import Settings
from hicache_core.density import step_density, step_moves
from hicache_core.schedule import spread

CALLS = (8, 10, 14, 18)
SHORT, FEW = 8, (2, 3, 4, 5, 6)  # steps of a short run, and how many of them are computed


def changes(sigmas: Sequence[float]) -> list[float]:
    """What the density has beside the moves."""
    density, moves = step_density(sigmas, flow=True), step_moves(sigmas, flow=True)
    return [d * d / m for d, m in zip(density, moves, strict=True)]


DRIFTS = (
    "Drift of each gap with the density, relative to the direction, divided by the square of the gap: median over the "
    "pictures in which it was undone.\n\n| calls | gap by gap | largest / smallest |\n|---|---|---|"
)
SHORTEST = f"Runs of {SHORT} steps.\n\n| calls | forecast | as many steps |\n|---|---|---|"
DENSITIES: dict[str, Callable[[Sequence[float]], Sequence[float]]] = {
    "even steps": lambda sigmas: [1.0] * (len(sigmas) - 1),
    "moves: even in the noise level": lambda sigmas: step_moves(sigmas, flow=True),
    "changes: even in the log of signal to noise": changes,
    "sqrt(moves x changes)": lambda sigmas: step_density(sigmas, flow=True),
}


def steps_of(density: Sequence[float], calls: int) -> tuple[int, ...]:
    return (0, *(1 + k for k in spread(density[1:], calls - 1)))


def drifts(subject: Subject, job: Job, settings: Settings) -> list[float]:
    """What the corrector undid at each step: shift of the latent relative to the direction there, RMS."""
    answers: dict[str, list[Tensor]] = {"sampler": [], "network": []}
    levels: list[tuple[Tensor, float]] = []

    def listener(name: str) -> Any:
        def listen(executor: Any, x: Tensor, timestep: Tensor, *rest: Any, **more: Any) -> Tensor:
            if name == "network":
                levels.append((x.clone(), float(timestep[0])))
            answers[name].append(executor(x, timestep, *rest, **more))
            return answers[name][-1]

        return listen

    outside = subject.model.clone()
    outside.add_wrapper_with_key("predict_noise", "sampler", listener("sampler"))
    patched = attach(outside, settings)
    patched.add_wrapper_with_key("predict_noise", "network", listener("network"))
    subject.sample(patched, job)
    ends = [*(sigma for _, sigma in levels[1:]), 0.0]
    return [
        float((network - sampler).norm() / (x - network).norm()) * (sigma - end)
        for (x, sigma), end, network, sampler in zip(levels, ends, answers["network"], answers["sampler"], strict=True)
    ]


def per_gap(density: Sequence[float], steps: Sequence[int], drift: Sequence[float]) -> list[float]:
    """Drift divided by the square of the gap's density, by gap, 0 where it was not undone; without the first gap, of
    which only half is."""
    gaps = [(b, sum(density[a + 1 : b + 1])) for a, b in pairwise(steps) if b > a + 1]
    return [drift[b] / gap**2 for b, gap in gaps[1:]]


def evenness(subject: Subject, work: list[Job], sigmas: Sequence[float], calls: int) -> str:
    density = step_density(sigmas, flow=True)
    steps = steps_of(density, calls)
    runs = [per_gap(density, steps, drifts(subject, job, Settings(schedule="listed", steps=steps))) for job in work]
    by_gap = [median(filter(None, gap)) for gap in zip(*runs, strict=True)]
    figures = " ".join(f"{value:.3f}" for value in by_gap)
    return f"| {calls} | {figures} | {max(by_gap) / min(by_gap):.1f} |"


def few_calls(subject: Subject, work: list[Job]) -> list[str]:
    references = full_runs(subject, work)
    density = step_density(noise_levels(subject.model, SHORT), flow=True)
    lines = []
    for calls in FEW:
        plan = Settings(schedule="listed", steps=steps_of(density, calls))
        rows = [measure(way, subject, work, references) for way in (cached("", plan), fewer_steps("euler", calls))]
        lines.append(f"| {calls} | {' | '.join(mean_and_worst(row.latent) for row in rows)} |")
    return lines


def draw(sigmas: Sequence[float], path: str) -> None:
    """The computed steps of every density over the curve it comes from."""
    figure, axes = plt.subplots(len(DENSITIES), 1, figsize=(8, 6.4), sharex=True, layout="constrained")
    for axis, (name, density) in zip(axes, DENSITIES.items(), strict=True):
        curve = [value / max(density(sigmas)) for value in density(sigmas)]
        axis.fill_between(range(len(curve)), curve, color="#e6eef6")
        axis.plot(curve, color="#9db8d2")
        for row, calls in enumerate(CALLS):
            steps = steps_of(density(sigmas), calls)
            axis.plot(steps, [0.2 + 0.2 * row] * len(steps), "o", color="#2166ac", markersize=3.5)
        axis.set_title(name, loc="left", fontsize=10)
        axis.set_yticks([0.2 + 0.2 * row for row in range(len(CALLS))], [f"{calls} calls" for calls in CALLS])
        axis.spines[["top", "right", "left"]].set_visible(False)
    axes[-1].set_xlabel("step")
    figure.savefig(path, dpi=110)


def main() -> None:
    arguments = option_parser(__doc__).parse_args()
    subject = Subject(MODELS[arguments.model](arguments.split))
    sigmas = noise_levels(subject.model, arguments.steps)
    lines = [f"| density | {' | '.join(f'{calls} calls' for calls in CALLS)} |", "|---" * (len(CALLS) + 1) + "|"]
    work = work_of(arguments)
    with torch.no_grad():
        references = full_runs(subject, work)
        for name, density in tqdm(DENSITIES.items()):
            plans = [Settings(schedule="listed", steps=steps_of(density(sigmas), calls)) for calls in CALLS]
            rows = [measure(cached(name, plan), subject, work, references).latent for plan in plans]
            lines.append(f"| {name} | {' | '.join(map(mean_and_worst, rows))} |")
        table = [evenness(subject, work, sigmas, calls) for calls in CALLS[1:]]
        few = few_calls(subject, work_of(arguments, steps=SHORT))
    note = "Latent PSNR in dB to the full run, mean and (worst). The first step is always computed."
    parts = [heading(arguments, f"{arguments.steps} steps of euler"), note, "", *lines, "", DRIFTS, *table, ""]
    write("\n".join([*parts, SHORTEST, *few, ""]), arguments.out)
    if arguments.out is not None:
        draw(sigmas, str(arguments.out.with_name("schedule.png")))  # the same for every model with these noise levels


if __name__ == "__main__":
    main()
