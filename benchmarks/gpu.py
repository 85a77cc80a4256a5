"""Seconds, bytes and waits at real size, in one call of under ten minutes on one GPU without a network.

    bash .host/gpu_pack/run.sh --out benchmarks/results/gpu      # on a GPU machine, after benchmarks/gpu_pack.py
    python dev.py exec -- python benchmarks/gpu.py --small --out benchmarks/results/gpu_small_cpu   # on any CPU

Weights are random: speed does not depend on them. Every part is sampled by the host's own sampler with the pack
attached as its node does it. On a GPU seconds are those of CUDA events and of the clock, on a CPU those of the
processor, which may be shared. Results are written after every part, as JSON and as Markdown; what no longer fits the
budget is skipped and named. Efficiency is the speed-up in seconds over the speed-up in calls: 1 means that forecasts
are free.
"""

import argparse
import gc
import json
import platform
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

STARTED = time.monotonic()

import full_size  # noqa: E402  the budget counts the imports
import sums  # noqa: E402
import torch  # noqa: E402
from gpu_table import document  # noqa: E402
from timed import Result, on_cuda, run  # noqa: E402
from tiny_models.model import sample  # noqa: E402

import comfy.model_management  # noqa: E402  isort: skip
import comfyui_version  # noqa: E402  isort: skip

from hicache_comfy import attach, last_report  # noqa: E402
from hicache_core import Settings, presets  # noqa: E402

METHODS: dict[str, Settings | None] = {
    "without HiCache": None,
    "as published, N 7": presets.paper(7),
    **{
        f"{level}, speed {speed:g}": replace(presets.speed(speed), level=level)
        for level in ("output", "stack")
        for speed in (2.0, 3.0, 5.0)
    },
    "block, speed 5": replace(presets.speed(5.0), level="block"),
    "module, speed 5": replace(presets.speed(5.0), level="module"),
}
SPARE = 20.0  # seconds of the budget that are for writing and for what was guessed too low


def sampling(subject: full_size.Subject, steps: int = 0) -> Callable[[Any, Callable[..., None]], Any]:
    """What samples a MODEL with a step callback."""
    return lambda model, mark: sample(model, subject.row, steps=steps or subject.steps, cfg=subject.cfg, callback=mark)


def waits(model: Any, subject: full_size.Subject, settings: Settings | None) -> dict[str, float] | None:
    """How often the host waits for the device in a step, median by kind of step; None where no device can say."""
    if not on_cuda():
        return None
    patched, counts = model if settings is None else attach(model, settings), []
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            mark = lambda *_: counts.append(sum("synchroniz" in str(w.message) for w in seen))  # noqa: E731
            sample(patched, subject.row, steps=12, cfg=subject.cfg, callback=mark)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    each = [b - a for a, b in pairwise(counts)]
    report = last_report(patched)
    actions = ["computed"] * 12 if report is None else [e.action for e in report.evaluations]
    return {kind: median(found) for kind in set(actions[1:]) if (found := of_kind(kind, each, actions[1:]))}


def of_kind(kind: str, each: list[int], actions: list[str]) -> list[int]:
    return [count for count, action in zip(each, actions, strict=True) if action == kind]


class Book:
    """All results, written after every part."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._out, self._budget = arguments.out, arguments.budget
        self.data: dict[str, Any] = {"machine": machine(arguments), "subjects": {}, "sums": [], "skipped": []}

    def left(self) -> float:
        return self._budget - SPARE - (time.monotonic() - STARTED)

    def fits(self, what: str, seconds: float) -> bool:
        if seconds <= self.left():
            return True
        self.data["skipped"].append(f"{what}: about {seconds:.0f} s, and {max(0.0, self.left()):.0f} s were left")
        return False

    def write(self) -> None:
        self.data["machine"]["seconds"] = time.monotonic() - STARTED
        text = document(self.data)
        if self._out is not None:
            self._out.parent.mkdir(parents=True, exist_ok=True)
            self._out.with_suffix(".json").write_text(json.dumps(self.data, indent=1) + "\n", encoding="utf-8")
            self._out.with_suffix(".md").write_text(text, encoding="utf-8")


def machine(arguments: argparse.Namespace) -> dict[str, Any]:
    name = f"{platform.machine()} CPU with {torch.get_num_threads()} thread(s)"
    return {
        "device": torch.cuda.get_device_name() if on_cuda() else name,
        "small": arguments.small,
        "dtype": str(dtype_of(arguments)).removeprefix("torch."),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "comfyui": comfyui_version.__version__,
        "command": " ".join(sys.argv),
    }


def dtype_of(arguments: argparse.Namespace) -> torch.dtype:
    return torch.float32 if arguments.small else torch.bfloat16  # a CPU has no fast bfloat16


def measure(subject: full_size.Subject, model: Any, book: Book, rounds: int) -> None:
    """Methods take turns, round after round, as long as the budget lasts; the model is warm before."""
    found: dict[str, list[Result]] = {name: [] for name in METHODS}
    entry = book.data["subjects"][subject.name] = {"methods": found, "waits": {}}
    run(model, None, sampling(subject, steps=2))
    step = median(run(model, None, sampling(subject, steps=5))["computed"])
    for turn in range(rounds):
        for name, settings in METHODS.items():
            calls = subject.steps / (settings.speed if settings and settings.schedule == "budget" else 1.0)
            calls = 9 if settings and settings.schedule == "interval" else calls
            if not book.fits(f"{subject.name}, {name}, round {turn + 1}", 1.3 * step * calls + 1.0):
                continue
            try:
                found[name].append(run(model, settings, sampling(subject)))
            except torch.cuda.OutOfMemoryError as error:
                book.data["skipped"].append(f"{subject.name}, {name}: {str(error).splitlines()[0]}")
            book.write()
    for name in ("without HiCache", "as published, N 7", "output, speed 2", "stack, speed 2"):
        if on_cuda() and book.fits(f"{subject.name}, waits, {name}", 12 * step):
            entry["waits"][name] = waits(model, subject, METHODS[name])
    book.write()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="networks small enough for a CPU, float32")
    parser.add_argument("--only", help="part of the name of what to measure")
    parser.add_argument("--rounds", type=int, help="instead of each one's own")
    parser.add_argument("--budget", type=float, default=540.0, help="seconds for everything")
    parser.add_argument("--out", type=Path, help="file without ending; default: print only")
    arguments = parser.parse_args()
    if not (arguments.small or on_cuda()):
        raise SystemExit("There is no GPU here: add --small, or set HICACHE_DEVICE=cuda on a machine that has one.")
    book, model, built = Book(arguments), None, None
    with torch.no_grad():
        for shape in sums.SMALL if arguments.small else sums.FULL:
            book.data["sums"] += sums.rows(shape, dtype_of(arguments))
        book.write()
        for subject in full_size.SMALL if arguments.small else full_size.FULL:
            if arguments.only and arguments.only.lower() not in subject.name.lower():
                continue
            if book.fits(subject.name, 30.0 if on_cuda() else 5.0):
                if built != subject.row.name:
                    model = None
                    comfy.model_management.unload_all_models()
                    gc.collect()
                    comfy.model_management.soft_empty_cache()
                    model, built = full_size.build(subject.row, dtype_of(arguments)), subject.row.name
                measure(subject, model, book, arguments.rounds or subject.rounds)
    book.write()
    print(document(book.data))


if __name__ == "__main__":
    main()
