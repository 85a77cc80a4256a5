"""How close a picture stays to the full run at a number of network calls.

python dev.py exec -- python benchmarks/fidelity.py --out docs/benchmarks/fidelity_flux.md
python dev.py exec -- python benchmarks/fidelity.py --model qwen_image --out docs/benchmarks/fidelity_qwen_image.md

With a model of your own, on a GPU (checkpoint.py has the options):

HICACHE_DEVICE=cuda python dev.py exec -- python benchmarks/fidelity.py --checkpoint flux1-dev-fp8.safetensors \\
    --steps 28 --out fidelity.md

Two references: the artist's own full run, and the converged solution, sampled with CONVERGED Euler steps, so that
nobody is fooled by a cache that copies a coarse run faithfully (not with samplers that add noise, which have none).
What was published for the levels inside the network is left out where they are not known. Rows: HiCache for ComfyUI at
several speeds and tolerances; simply fewer steps, with the same sampler and with the good multistep ones; EasyCache and
LazyCache of the host; HiCache, TaylorSeer and dual-scaled Taylor as published, at every attention and MLP; Spectrum's
recipe, at the output, with Chebyshev weights of our own (basis.py), which are not its authors' to the last detail.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from statistics import mean
from typing import Any

import matplotlib.pyplot as plt
import torch
from harness import (
    Method,
    Row,
    cached,
    fewer_steps,
    full_runs,
    heading,
    mean_and_worst,
    measure,
    name_of,
    option_parser,
    sampling_of,
    work_of,
    write,
    write_csv,
)
from subjects import Subject, subject_of
from torch import Tensor
from tqdm import tqdm

import comfy.patcher_extension  # isort: skip
import comfy.samplers  # isort: skip
import comfy_extras.nodes_easycache as easycache  # isort: skip

from hicache_comfy.architectures import architecture_of
from hicache_comfy.samplers import rule_of
from hicache_core import Settings, presets

OURS, FEWER, PUBLISHED, HOST = "HiCache for ComfyUI", "fewer steps", "as published", "ComfyUI's own"
AFTER = "after a paper, with our weights"
SPEEDS = (1.5, 2.0, 2.5, 3.0, 4.0, 5.0)
TOLERANCES = (0.001, 0.003, 0.01)
FEWER_SAMPLERS = ("euler", "dpmpp_2m", "deis", "res_multistep", "uni_pc")
CALLS = (10, 14, 18)  # where results are compared
CONVERGED = 200


def methods(subject: Subject, steps: int, sampler: str) -> Iterator[tuple[str, Method]]:
    """(family, method)"""
    for ratio in dict.fromkeys((*SPEEDS, *(steps / calls for calls in CALLS if calls < steps))):
        yield OURS, cached(f"target speed {ratio:.3g}", presets.speed(ratio))
    for tolerance in TOLERANCES:
        yield OURS, cached(f"adaptive, tolerance {tolerance:g}", presets.adaptive(tolerance))
    counts = sorted({*(calls for calls in CALLS if calls < steps), *(round(steps / ratio) for ratio in (2.0, 2.5))})
    for name in dict.fromkeys((sampler, *FEWER_SAMPLERS)):
        for count in counts:
            yield FEWER, fewer_steps(name, count)
    for threshold in (0.05, 0.1):
        yield HOST, Method(f"EasyCache {threshold:g}, its input cloned", _easy_cache(threshold))
        yield HOST, Method(f"LazyCache {threshold:g}", _lazy_cache(threshold))
    known = architecture_of(subject.model.get_model_object("diffusion_model"))
    for n in (3, 5, 7) if known is not None and "module" in known.levels else ():
        yield PUBLISHED, cached(f"HiCache, N {n}, order 2, c 0.5", presets.paper(n))
        for order in (1, 2):
            yield PUBLISHED, cached(f"TaylorSeer, N {n}, order {order}", presets.taylorseer(n, order))
        yield PUBLISHED, cached(f"dual-scaled Taylor, N {n}, order 2, c 0.5", presets.dual_taylor(n))
    for growth in (0.75, 3.0):
        yield AFTER, cached(f"Spectrum's recipe, window 2 growing by {growth:g}", spectrum(steps, growth))


def spectrum(steps: int, growth: float) -> Settings:
    """arXiv 2603.01623: five steps, then gaps of 2 growing by ``growth`` at each; Chebyshev ridge of order 4 blended
    with a line, at the output, no corrector."""
    computed, window = list(range(5)), 2.0
    while computed[-1] + int(window) < steps:
        computed.append(computed[-1] + int(window))
        window += growth
    listed = Settings(schedule="listed", steps=tuple(computed), basis="spectrum", order=4)
    return replace(listed, corrector=False, stabilizer=False)


def _easy_cache(threshold: float) -> Any:
    def run(subject: Subject, job: Any) -> Tensor:
        """The node adds to its input in place, which destroys float32 runs: it gets a copy."""
        copied = subject.model.clone()
        kind = comfy.patcher_extension.WrappersMP.DIFFUSION_MODEL
        copied.add_wrapper_with_key(kind, "copy", lambda executor, x, *rest, **more: executor(x.clone(), *rest, **more))
        return subject.sample(easycache.EasyCacheNode.execute(copied, threshold, 0.15, 0.95, False)[0], job)

    return run


def _lazy_cache(threshold: float) -> Any:
    def run(subject: Subject, job: Any) -> Tensor:
        return subject.sample(easycache.LazyCacheNode.execute(subject.model, threshold, 0.15, 0.95, False)[0], job)

    return run


def is_deterministic(sampler: str) -> bool:
    return rule_of(comfy.samplers.sampler_object(sampler)).deterministic


FIGURES: dict[str, tuple[str, Callable[[list[float]], str]]] = {
    "latent": ("latent, dB", mean_and_worst),
    "picture": ("picture, dB", mean_and_worst),
    "ssim": ("SSIM", lambda values: f"{mean(values):.4f}"),
    "converged": ("latent to the converged solution, dB", mean_and_worst),
}


def measured(row: Row) -> list[str]:
    """The figures that there are."""
    return [name for name in FIGURES if getattr(row, name)]


def table(rows: list[tuple[str, Row]], full_seconds: float) -> str:
    figures = measured(rows[0][1])
    heads = ["", "method", "calls", "speed-up (seconds)", *(FIGURES[name][0] for name in figures)]
    lines = [f"| {' | '.join(heads)} |".replace("|  |", "| |"), "|---" * len(heads) + "|"]
    for family, r in rows:
        cells = " | ".join(FIGURES[name][1](getattr(r, name)) for name in figures)
        lines.append(f"| {family} | {r.name} | {r.calls:.1f} | {full_seconds / r.seconds:.2f} | {cells} |")
    return "\n".join(lines)


def verdict(rows: list[tuple[str, Row]]) -> str:
    """Ours against the best of every other family at no more calls."""
    lines = [f"| calls | ours | best of: {FEWER} | {PUBLISHED} | {HOST} |", "|---|---|---|---|---|"]
    targets = {round(r.calls): r for family, r in rows if family == OURS and r.name.startswith("target")}
    for calls in (calls for calls in CALLS if calls in targets):
        cells = [mean_and_worst(targets[calls].latent)]
        for family in (FEWER, PUBLISHED, HOST):
            at_most = [r for f, r in rows if f == family and r.calls <= calls + 0.05]
            best = max(at_most, key=lambda r: mean(r.latent), default=None)
            cells.append("-" if best is None else f"{mean_and_worst(best.latent)} {best.name}")
        lines.append(f"| {calls} | {' | '.join(cells)} |")
    return "\n".join(lines)


TITLES = {"latent": "to the full run", "converged": f"to the converged solution ({CONVERGED} steps)"}
STYLES = {
    OURS: ("#2166ac", "o", 60),
    FEWER: ("#999999", "s", 18),
    HOST: ("#d6604d", "^", 30),
    AFTER: ("#8073ac", "v", 30),
    PUBLISHED: ("#e08214", "D", 22),
}


def draw(rows: list[tuple[str, Row]], path: str, title: str) -> None:
    """PSNR of the latents against calls, to every reference."""
    names = [name for name in measured(rows[0][1]) if name in TITLES]
    figure, axes = plt.subplots(
        1, len(names), figsize=(5.5 * len(names), 5), sharex=True, layout="constrained", squeeze=False
    )
    for axis, name in zip(axes.flat, names, strict=True):
        for family, (color, marker, size) in reversed(STYLES.items()):
            points = [(r.calls, mean(getattr(r, name))) for f, r in rows if f == family]
            if points:
                across, up = zip(*points, strict=True)
                axis.scatter(across, up, c=color, marker=marker, s=size, label=family, edgecolors="white")
        axis.set(xlabel="network calls", ylabel="latent PSNR, dB (mean)")
        axis.grid(color="#eeeeee")
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_title(TITLES[name], loc="left")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)
    figure.suptitle(title)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    arguments = option_parser(__doc__).parse_args()
    subject = subject_of(arguments)
    work = work_of(arguments, subject)
    with torch.no_grad():
        references, converged = full_runs(subject, work), None
        if is_deterministic(work[0].sampler):
            converged = full_runs(subject, [replace(job, steps=CONVERGED, sampler="euler") for job in tqdm(work)])
        full = measure(Method("full run", Subject.full_run), subject, work, references, converged)
        rows = [
            (family, measure(method, subject, work, references, converged))
            for family, method in tqdm(list(methods(subject, arguments.steps, work[0].sampler)))
        ]
    own = f"The full run: {full.seconds:.2f} s a picture"
    if full.converged:
        own += f", {mean_and_worst(full.converged)} dB to the converged solution"
    note = "PSNR: mean and (worst picture). Seconds are the processor's; on a GPU, the clock's."
    parts = [heading(arguments, subject), note, f"{own}.", "", verdict(rows), "", table(rows, full.seconds), ""]
    write("\n".join(parts), arguments.out)
    write_csv([line for family, row in rows for line in lines_of(family, row)], arguments.out)
    if arguments.out is not None:
        title = f"{name_of(subject)}, {sampling_of(arguments, subject)}, {arguments.pictures} pictures"
        draw(rows, str(arguments.out.with_suffix(".png")), title)


NAMES = {"latent": "latent_db", "picture": "picture_db", "ssim": "ssim", "converged": "converged_db"}  # in the file


def lines_of(family: str, row: Row) -> Iterator[dict[str, Any]]:
    for k in range(len(row.latent)):
        figures = {NAMES[name]: round(getattr(row, name)[k], 4) for name in measured(row)}
        yield {"family": family, "method": row.name, "seed": 1000 + k, "calls": row.calls, **figures}


if __name__ == "__main__":
    main()
