"""What the benchmarks share: ways to sample, measured on the small models against the full run.

Calls are counted inside the network. Everything runs in one process on one thread, one picture at a time.
"""

import argparse
import csv
import io
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from small_models.sampling import Job, decode, first_block, jobs, load_flux, load_qwen_image, sample
from torch import Tensor

import comfy.model_management  # isort: skip  after the sampling module, which makes the host importable
import comfyui_version  # isort: skip

from hicache_comfy import attach
from hicache_core import Settings
from hicache_core.metrics import psnr, ssim

MODELS = {"flux": load_flux, "qwen_image": load_qwen_image}


@dataclass(frozen=True)
class Subject:
    """What is measured: a MODEL, how a job is sampled with it or a patched copy, and how a latent becomes a picture
    (B, 3, H, W) in [0, 1]. A job is any dataclass with seed, steps, sampler and cfg."""

    model: Any
    sample: Callable[[Any, Any], Tensor] = sample
    decode: Callable[[Tensor], Tensor] = decode

    def full_run(self, job: Any) -> Tensor:
        return self.sample(self.model, job)


@dataclass(frozen=True)
class Method:
    """A name and how it samples a job."""

    name: str
    run: Callable[[Subject, Any], Tensor]


@dataclass(frozen=True)
class Reference:
    """A latent to be near to, and its picture (1, 3, H, W) in [0, 1]."""

    latent: Tensor
    picture: Tensor


@dataclass(frozen=True)
class Row:
    """What a method did, by picture. PSNR in dB: of latents with the reference's range as peak, of pictures before
    they are rounded to 8 bits with peak 1. ``converged`` is the picture's PSNR to the second reference, if any."""

    name: str
    calls: float  # network calls per picture
    seconds: float  # per picture: of the processor, on a GPU of the clock
    latent: list[float] = field(default_factory=list)
    picture: list[float] = field(default_factory=list)
    ssim: list[float] = field(default_factory=list)
    converged: list[float] = field(default_factory=list)


def cached(name: str, settings: Settings) -> Method:
    return Method(name, lambda subject, job: subject.sample(attach(subject.model, settings), job))


def fewer_steps(sampler: str, steps: int) -> Method:
    def run(subject: Subject, job: Any) -> Tensor:
        return subject.full_run(replace(job, steps=steps, sampler=sampler))

    return Method(f"{steps} steps of {sampler}", run)


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


def full_runs(subject: Subject, work: list[Any]) -> list[Reference]:
    """Every job, computed in full."""
    latents = [subject.full_run(job) for job in work]
    return [Reference(latent, subject.decode(latent)) for latent in latents]


def measure(
    method: Method,
    subject: Subject,
    work: list[Any],
    references: list[Reference],
    converged: list[Reference] | None = None,
) -> Row:
    clock = time.perf_counter if on_gpu() else time.process_time  # the machines are shared
    started = clock()
    with counted_calls(subject.model) as calls:
        latents = [method.run(subject, job) for job in work]
    row = Row(method.name, calls[0] / len(work), (clock() - started) / len(work))
    for k, (latent, full) in enumerate(zip(latents, references, strict=True)):
        picture = subject.decode(latent)
        row.latent.append(psnr(latent, full.latent, float(full.latent.max() - full.latent.min())))
        row.picture.append(psnr(picture, full.picture))
        row.ssim.append(ssim(picture, full.picture))
        if converged is not None:
            row.converged.append(psnr(picture, converged[k].picture))
    return row


def latent_psnr(latents: Tensor, references: Tensor) -> list[float]:
    """Of every picture of a batch, in dB, with the reference's range as peak."""
    pairs = zip(latents, references, strict=True)
    return [psnr(ours, full, float(full.max() - full.min())) for ours, full in pairs]


def name_of(arguments: argparse.Namespace) -> str:
    own = getattr(arguments, "checkpoint", None)
    return own.name if own else f"Small {arguments.model}"


def heading(arguments: argparse.Namespace, sampling: str) -> str:
    """What was measured, where and how to do it again."""
    own = getattr(arguments, "checkpoint", None)
    which, dtype = (f"{arguments.pixels} pixels", arguments.dtype) if own else (f"{arguments.split} split", "float32")
    return (
        f"{name_of(arguments)}, {which}, {sampling}, CFG {arguments.cfg:g}, {arguments.pictures} "
        f"pictures (seeds 1000 to {999 + arguments.pictures}), {dtype}, {device()}, "
        f"Python {platform.python_version()}, torch {torch.__version__}, ComfyUI "
        f"{comfyui_version.__version__}.\n\n`python dev.py exec -- python {' '.join(sys.argv)}`\n"
    )


def on_gpu() -> bool:
    return comfy.model_management.get_torch_device().type == "cuda"


def device() -> str:
    if on_gpu():
        return torch.cuda.get_device_name()
    return f"{platform.machine()} CPU with {torch.get_num_threads()} thread(s)"


def option_parser(description: str | None) -> argparse.ArgumentParser:
    """The options that all benchmarks have; ``description`` is the module's docstring."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=MODELS, default="flux")
    parser.add_argument("--split", choices=["train", "test"], default="test")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--cfg", type=float, default=1.0)
    parser.add_argument("--pictures", type=int, default=16)
    parser.add_argument("--out", type=Path, help="Markdown file; default: print only")
    return parser


def work_of(arguments: argparse.Namespace, **how: Any) -> list[Job]:
    return jobs(arguments.split, arguments.pictures, **({"steps": arguments.steps, "cfg": arguments.cfg} | how))


def mean_and_worst(values: list[float]) -> str:
    return f"{mean(values):.1f} ({min(values):.1f})"


def write(text: str, out: Path | None) -> None:
    print(text)
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")


def write_csv(rows: list[dict[str, Any]], out: Path | None) -> None:
    """Beside the Markdown file, one line per picture and method."""
    if out:
        text = io.StringIO()
        table = csv.DictWriter(text, rows[0], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
        out.with_suffix(".csv").write_text(text.getvalue(), encoding="utf-8")
