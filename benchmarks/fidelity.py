"""How close a picture stays to the full run at a number of network calls, on the small models.

    python dev.py exec -- python benchmarks/fidelity.py --out benchmarks/results/fidelity_test.md
    python dev.py exec -- python benchmarks/fidelity.py --model qwen_image --cfg 4 --out FILE
    python dev.py exec -- python benchmarks/fidelity.py --split train --tune

Compared are HiCache's schedules, HiCache and TaylorSeer as published (every attention and MLP), and simply running
fewer steps with good multistep samplers. The reference is the full run of the sampler named first; calls are counted
inside the network.
"""

import argparse
import itertools
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from small_models.sampling import Job, decode, first_block, jobs, load_flux, load_qwen_image, sample
from torch import Tensor
from tqdm import tqdm

from hicache_comfy import attach
from hicache_core import Settings, presets
from hicache_core.metrics import psnr, ssim

MODELS = {"flux": load_flux, "qwen_image": load_qwen_image}
FEWER_SAMPLERS = ("euler", "dpmpp_2m", "deis", "res_multistep")
SPEEDS = (2.5, 3.5, 5.0)


@dataclass(frozen=True)
class Method:
    """A name and how it samples a job."""

    name: str
    run: Callable[[Any, Job], Tensor]


@dataclass(frozen=True)
class Row:
    name: str
    calls: float  # network calls per picture
    seconds: float  # per picture
    latent_psnr: list[float]  # dB, peak = range of the reference
    picture_psnr: list[float]  # dB, peak = 1
    picture_ssim: list[float]


def cached(name: str, settings: Settings) -> Method:
    return Method(name, lambda model, job: sample(attach(model, settings), job))


def fewer_steps(sampler: str, steps: int) -> Method:
    return Method(
        f"no cache, {steps} steps {sampler}", lambda m, job: sample(m, replace(job, steps=steps, sampler=sampler))
    )


def methods(steps: int) -> Iterator[Method]:
    for ratio in SPEEDS:
        yield cached(f"HiCache, target speed {ratio:g}", presets.speed(ratio))
        yield cached(f"HiCache, target speed {ratio:g}, no corrector", replace(presets.speed(ratio), corrector=False))
        yield cached(f"HiCache, target speed {ratio:g}, no stabilizer", replace(presets.speed(ratio), stabilizer=False))
    for tolerance in (0.02, 0.05, 0.1):
        yield cached(f"HiCache, adaptive {tolerance:g}", presets.adaptive(tolerance))
    for n in (3, 5, 7):
        yield cached(f"HiCache as published, N {n}, order 2, c 0.5", presets.paper(n))
        yield cached(f"TaylorSeer as published, N {n}, order 1", presets.taylorseer(n))
        yield cached(f"reuse of every module, N {n}", replace(presets.paper(n), basis="reuse"))
    for ratio, sampler in itertools.product(SPEEDS, FEWER_SAMPLERS):
        yield fewer_steps(sampler, round(steps / ratio))


def grid() -> Iterator[Method]:
    """The candidates for the defaults; tuned on the train split only."""
    for ratio, warmup, growth in itertools.product(SPEEDS, (2, 3, 4), (1.0, 1.05, 1.1)):
        base = replace(presets.speed(ratio), warmup_steps=warmup, growth=growth)
        for basis, order, c in (("taylor", 1, 1.0), ("hermite", 2, 0.5), ("hermite", 2, 0.7)):
            name = f"speed {ratio:g} warm-up {warmup} growth {growth} {basis} order {order} c {c}"
            yield cached(name, replace(base, basis=basis, order=order, contraction=c))


@contextmanager
def counted_calls(model: Any) -> Iterator[list[int]]:
    calls = [0]

    def count(*_: Any) -> None:
        calls[0] += 1

    handle = first_block(model.model.diffusion_model).register_forward_pre_hook(count)
    try:
        yield calls
    finally:
        handle.remove()


def full_runs(model: Any, work: list[Job]) -> list[tuple[Tensor, Tensor]]:
    """(latent, picture) of every job, computed in full."""
    latents = [sample(model, job) for job in work]
    return [(latent, decode(latent)) for latent in latents]


def measure(method: Method, model: Any, work: list[Job], references: list[tuple[Tensor, Tensor]]) -> Row:
    row = Row(method.name, 0.0, 0.0, [], [], [])
    started = time.perf_counter()
    with counted_calls(model) as calls:
        latents = [method.run(model, job) for job in work]
    seconds = (time.perf_counter() - started) / len(work)
    for latent, (full, full_picture) in zip(latents, references, strict=True):
        row.latent_psnr.append(psnr(latent, full, float(full.max() - full.min())))
        picture = decode(latent)
        row.picture_psnr.append(psnr(picture, full_picture))
        row.picture_ssim.append(ssim(picture, full_picture))
    return replace(row, calls=calls[0] / len(work), seconds=seconds)


def table(rows: list[Row], full_seconds: float) -> str:
    lines = [
        "| method | calls | speed-up (seconds) | latent PSNR, mean dB | worst | picture PSNR, mean dB | worst | SSIM |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        latent = f"{mean(r.latent_psnr):.1f} | {min(r.latent_psnr):.1f}"
        picture = f"{mean(r.picture_psnr):.1f} | {min(r.picture_psnr):.1f} | {mean(r.picture_ssim):.4f}"
        lines.append(f"| {r.name} | {r.calls:.1f} | {full_seconds / r.seconds:.2f} | {latent} | {picture} |")
    return "\n".join(lines)


def heading(arguments: argparse.Namespace) -> str:
    return (
        f"Small {arguments.model}, {arguments.split} split, {arguments.steps} steps of {arguments.sampler}, "
        f"CFG {arguments.cfg:g}, {arguments.pictures} pictures (seeds 1000 to {999 + arguments.pictures}), float32, "
        f"{platform.machine()} CPU with {torch.get_num_threads()} threads, torch {torch.__version__}.\n"
    )


def output_parser() -> argparse.ArgumentParser:
    """The options that the benchmarks on the small Flux share."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--model", choices=MODELS, default="flux")
    parser.add_argument("--split", choices=["train", "test"], default="test")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--cfg", type=float, default=1.0)
    parser.add_argument("--pictures", type=int, default=8)
    parser.add_argument("--out", type=Path, help="Markdown file; default: print only")
    return parser


def write(text: str, out: Path | None) -> None:
    print(text)
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(
        parents=[output_parser()], description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sampler", default="euler")
    parser.add_argument("--tune", action="store_true", help="measure the grid of candidate defaults instead")
    arguments = parser.parse_args()
    model = MODELS[arguments.model](arguments.split)
    how = {"steps": arguments.steps, "sampler": arguments.sampler, "cfg": arguments.cfg}
    work = jobs(arguments.split, arguments.pictures, **how)
    with torch.no_grad():
        references = full_runs(model, work)
        full_seconds = measure(Method("full", sample), model, work, references).seconds
        candidates = list(grid() if arguments.tune else methods(arguments.steps))
        rows = [measure(m, model, work, references) for m in tqdm(candidates)]
    if arguments.tune:
        rows.sort(key=lambda r: (round(r.calls), -mean(r.latent_psnr)))
    write(f"{heading(arguments)}\n{table(rows, full_seconds)}\n", arguments.out)


if __name__ == "__main__":
    main()
