"""What the benchmarks share: ways to sample a subject (subjects.py), measured against its full run.

Calls are counted inside the network. Every subject runs in one process on one thread.
"""

import argparse
import csv
import io
import platform
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean
from typing import Any, TypeVar

import torch
from small_models.sampling import first_block
from subjects import Subject, add_options
from torch import Tensor
from tqdm import tqdm

import comfy.model_management  # isort: skip  after the sampling module, which makes the host importable
import comfyui_version  # isort: skip

from hicache_comfy import attach, last_report
from hicache_core import Settings, presets
from hicache_core.metrics import psnr, ssim

T = TypeVar("T")


@dataclass(frozen=True)
class Method:
    """A name and how it samples a job."""

    name: str
    run: Callable[[Subject, Any], Tensor]


@dataclass(frozen=True)
class Reference:
    """A latent to be near to, and its picture (1, 3, H, W) or video (1, frames, 3, H, W) in [0, 1], if it has one."""

    latent: Tensor
    picture: Tensor | None


@dataclass(frozen=True)
class Row:
    """What a method did, by picture. PSNR in dB: of latents with the reference's range as peak, of pictures before
    they are rounded to 8 bits with peak 1; of videos over all frames. ``converged`` is the latents' PSNR to the second
    reference. Empty where there is no picture, or no second reference."""

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


def picture_of(subject: Subject, latent: Tensor) -> Tensor | None:
    return subject.decode(latent) if subject.decode else None


def full_runs(subject: Subject, work: list[Any]) -> list[Reference]:
    """Every job, computed in full."""
    latents = [subject.full_run(job) for job in work]
    return [Reference(latent, picture_of(subject, latent)) for latent in latents]


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
        row.latent.extend(latent_psnr(latent, full.latent))
        if converged is not None:
            row.converged.extend(latent_psnr(latent, converged[k].latent))
        picture = picture_of(subject, latent)
        if picture is not None and full.picture is not None:
            row.picture.append(psnr(picture, full.picture))
            row.ssim.append(ssim(picture, full.picture))
    return row


def latent_psnr(latents: Tensor, references: Tensor) -> list[float]:
    """Of every picture of a batch, in dB, with the reference's range as peak."""
    pairs = zip(latents, references, strict=True)
    return [psnr(ours, full, float(full.max() - full.min())) for ours, full in pairs]


def automatic_floor(subject: Subject) -> float:
    """The signal_floor that its runs have, as one of them reports."""
    patched = attach(subject.model, presets.speed(5.0))
    subject.together(patched, subject.jobs(1, steps=20))
    report = last_report(patched)
    assert report is not None
    return report.signal_floor


def machine() -> str:
    """Where it was measured, and how to do it again."""
    return f"{versions()}; `{command()}`"


def versions() -> str:
    return (
        f"{device()}, Python {platform.python_version()}, torch {torch.__version__}, ComfyUI "
        f"{comfyui_version.__version__}"
    )


def command() -> str:
    return f"python dev.py exec -- python {' '.join(sys.argv)}"


def name_of(subject: Subject) -> str:
    return subject.name[:1].upper() + subject.name[1:]


def heading(arguments: argparse.Namespace, subject: Subject, sampler: str = "") -> str:
    """What was measured, where and how to do it again. sampler: instead of the one that all jobs have."""
    own = arguments.checkpoint is not None
    which, dtype = (f"{arguments.pixels} pixels", arguments.dtype) if own else (f"{arguments.split} split", "float32")
    return (
        f"{name_of(subject)}, {which}, {sampling_of(arguments, subject, sampler)}, {arguments.pictures} "
        f"pictures (seeds 1000 to {999 + arguments.pictures}), {dtype}, {versions()}.\n\n`{command()}`\n"
    )


def sampling_of(arguments: argparse.Namespace, subject: Subject, sampler: str = "") -> str:
    how = how_of(arguments, subject)
    return f"{how['steps']} steps of {sampler or how['sampler']}, scheduler {how['scheduler']}, CFG {how['cfg']:g}"


def on_gpu() -> bool:
    return comfy.model_management.get_torch_device().type == "cuda"


def device() -> str:
    if on_gpu():
        return torch.cuda.get_device_name()
    return f"{platform.machine()} CPU with {torch.get_num_threads()} thread(s)"


def option_parser(description: str | None) -> argparse.ArgumentParser:
    """The options that all benchmarks have; ``description`` is the module's docstring."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--sampler", help="default: the model's usual one, as of the scheduler and of CFG")
    parser.add_argument("--scheduler")
    parser.add_argument("--cfg", type=float)
    parser.add_argument("--pictures", type=int, default=16)
    parser.add_argument("--out", type=Path, help="Markdown file; default: print only")
    return parser


def how_of(arguments: argparse.Namespace, subject: Subject) -> dict[str, Any]:
    """Steps, sampler, scheduler and CFG: the subject's usual ones, unless the options say otherwise."""
    given = {name: getattr(arguments, name) for name in ("sampler", "scheduler", "cfg")}
    usual = {name: subject.usual[name] if value is None else value for name, value in given.items()}
    return {"steps": arguments.steps, **usual}


def work_of(arguments: argparse.Namespace, subject: Subject, **how: Any) -> list[Any]:
    return subject.jobs(arguments.pictures, **{**how_of(arguments, subject), **how})


def in_processes(work: Callable[..., T], names: Sequence[str], processes: int, *rest: Any) -> list[T]:
    """What a function of a subject's name and the rest returns, for every name, each on one thread."""
    with ProcessPoolExecutor(processes) as pool:
        jobs = [pool.submit(_alone, work, name, *rest) for name in names]
        return [job.result() for job in tqdm(jobs)]


def _alone(work: Callable[..., T], *given: Any) -> T:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # of torchsde, about rounding
    with torch.no_grad():
        return work(*given)


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
