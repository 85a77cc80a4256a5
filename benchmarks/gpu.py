"""Seconds, bytes and waits at real size, in one call of under ten minutes on one GPU without a network.

    bash .host/gpu_pack/run.sh --out FILE     # on a GPU machine, after benchmarks/gpu_pack.py: FILE.json and FILE.md
    python dev.py exec -- python benchmarks/gpu.py --small --out benchmarks/results/gpu_small_cpu   # on any CPU

The folder .host/gpu_pack is ignored by git: it must be brought along by name. Where a machine gives back one folder
only, --out names a file in it; move the two files to benchmarks/results/gpu.* then.

Weights are random: speed does not depend on them. Every part is sampled by the host's own sampler with the pack
attached as its node does it; conditioning and latent are made before. On a GPU seconds are those of CUDA events and of
the clock, on a CPU those of the processor, which may be shared. First come the sums, then every method once, then
further rounds of the methods that decide the targets, then of the others, as long as the budget lasts. Results are
written after every part, as JSON and as Markdown; what no longer fits the budget, or fails, is named and skipped.
Efficiency is the speed-up in seconds over the speed-up in calls: 1 means that forecasts are free.
"""

import argparse
import json
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

STARTED = time.monotonic()

import full_size  # noqa: E402  the budget counts the imports
import sums  # noqa: E402
import timed  # noqa: E402
import torch  # noqa: E402
from gpu_held import held  # noqa: E402
from gpu_machine import dtype_of, machine  # noqa: E402
from gpu_table import BASE, document  # noqa: E402
from tiny_models.model import sample  # noqa: E402

from hicache_comfy import attach, last_report  # noqa: E402
from hicache_core import LEVELS, Settings, kernel, presets  # noqa: E402

METHODS: dict[str, Settings | None] = {
    BASE: None,
    "output, speed 5": replace(presets.speed(5.0), level="output"),
    "stack, speed 5": replace(presets.speed(5.0), level="stack"),
    "module, speed 5": replace(presets.speed(5.0), level="module"),
    "as published, N 7": presets.paper(7),
    **{
        f"{level}, speed {speed:g}": replace(presets.speed(speed), level=level)
        for speed in (2.0, 3.0)
        for level in ("output", "stack")
    },
    "block, speed 5": replace(presets.speed(5.0), level="block"),
}
DECIDING, OTHERS = list(METHODS)[:5], list(METHODS)[5:]
WAITS = (BASE, "output, speed 2", "stack, speed 2", "as published, N 7")
SPARE = 20.0  # seconds of the budget that are for writing and for what was guessed too low

Sample = Callable[[Any, Callable[..., None]], Any]
Part = Callable[[full_size.Subject, Any, "Book"], None]  # of the work on a subject with its MODEL


def sampling(subject: full_size.Subject) -> Callable[..., Sample]:
    """By the number of steps, what samples a MODEL with a step callback. What a run begins with is made here, once."""
    row = subject.row
    given = {"positive": row.conditioning(1), "negative": row.conditioning(2), "latent": row.empty_latent()}
    return lambda steps=subject.steps: (
        lambda model, mark: sample(model, row, steps=steps, cfg=subject.cfg, callback=mark, **given)
    )


def calls(subject: full_size.Subject, settings: Settings | None) -> float:
    """About as many as a run takes."""
    if settings is None:
        return subject.steps
    return subject.steps / settings.speed if settings.schedule == "budget" else 3 + subject.steps / settings.interval


def first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


class Book:
    """All results, written after every part."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._out, self._budget = arguments.out, arguments.budget
        self.started = STARTED  # of the part in hand
        self.failed: set[tuple[str, str]] = set()  # subjects and methods that are not tried again
        self.begun: dict[str, float] = {}  # seconds until a subject's MODEL was built and warm
        self.step: dict[str, float] = {}  # seconds of a computed step
        self.data: dict[str, Any] = {"machine": machine(arguments), "subjects": {}, "sums": [], "held": {}}
        self.data["refusals"] = kernel.refusals
        self.data["skipped"] = []

    def of(self, subject: full_size.Subject) -> dict[str, Any]:
        empty = {"methods": {name: [] for name in METHODS}, "waits": {}, "fully loaded": True}
        return self.data["subjects"].setdefault(subject.name, empty)

    def left(self) -> float:
        return self._budget - SPARE - (time.monotonic() - STARTED)

    def fits(self, what: str, seconds: float) -> bool:
        if seconds <= self.left():
            return True
        self.skip(f"{what}: about {seconds:.0f} s, and {max(0.0, self.left()):.0f} s were left")
        return False

    def tries(self, what: str, work: Callable[[], None]) -> bool:
        """Whether it went well: what goes wrong is said, costs this part, and leaves nothing alive in its frames."""
        try:
            work()
            return True
        except Exception as error:
            traceback.print_exc()
            self.skip(f"{what}: {first_line(error)}")
            return False

    def skip(self, why: str) -> None:
        self.data["skipped"].append(why)
        self.say(f"skipped {why}")

    def say(self, what: str) -> None:
        print(f"{time.monotonic() - STARTED:4.0f} s: {what}", file=sys.stderr, flush=True)

    def write(self) -> None:
        self.data["machine"]["seconds"] = time.monotonic() - STARTED
        text = document(self.data)
        if self._out is not None:
            self._out.parent.mkdir(parents=True, exist_ok=True)
            self._out.with_suffix(".json").write_text(json.dumps(self.data, indent=1) + "\n", encoding="utf-8")
            self._out.with_suffix(".md").write_text(text, encoding="utf-8")


class Models:
    """One MODEL at a time; subjects of one network that follow each other share it."""

    def __init__(self, dtype: torch.dtype) -> None:
        self._dtype, self._name, self._model = dtype, "", None

    def of(self, row: Any) -> Any:
        if self._name != row.name:
            self.clear()
            self._model, self._name = full_size.build(row, self._dtype), row.name
        return self._model

    def clear(self) -> None:
        self._name, self._model = "", None
        full_size.free()


def measure_sums(arguments: argparse.Namespace, book: Book) -> None:
    for shape in sums.SMALL if arguments.small else sums.FULL:
        book.data["sums"] += sums.rows(shape, dtype_of(arguments))
        book.write()


def measure(turn: int, names: Sequence[str], subject: full_size.Subject, model: Any, book: Book) -> None:
    """One round: methods take turns on a warm model. The first that does not fit ends it, for the next would be
    compared with another round."""
    sampled = sampling(subject)
    warm(subject, model, sampled, book)
    for k, name in enumerate(names):
        seconds = 1.0 + 1.3 * book.step[subject.name] * calls(subject, METHODS[name])
        if not book.fits(f"{subject.name}, round {turn + 1}, {', '.join(names[k:])}", seconds):
            return
        if (subject.name, name) not in book.failed:
            one_run(turn, name, sampled(), subject, model, book)


def warm(subject: full_size.Subject, model: Any, sampled: Callable[..., Sample], book: Book) -> None:
    """A few steps, so that no run that counts meets a kernel or a buffer for the first time."""
    first = not book.step
    timed.run(model, None, sampled(2))
    if subject.name not in book.step:
        book.step[subject.name] = median(timed.run(model, None, sampled(5))["computed"])
    for level in LEVELS if first else ():
        timed.run(model, replace(presets.speed(2.0), level=level), sampled(8))
    book.begun[subject.name] = time.monotonic() - book.started


def one_run(turn: int, name: str, sampled: Sample, subject: full_size.Subject, model: Any, book: Book) -> None:
    entry = book.of(subject)
    try:
        entry["methods"][name].append(timed.run(model, METHODS[name], sampled) | {"round": turn})
    except torch.cuda.OutOfMemoryError as error:
        if METHODS[name] is None:
            raise
        book.failed.add((subject.name, name))
        book.skip(f"{subject.name}, {name}: {first_line(error)}")
    if (subject.name, name) in book.failed:
        full_size.tidy()
    entry["fully loaded"] &= full_size.fully_loaded(model)
    book.write()


def count_waits(names: Iterable[str], subject: full_size.Subject, model: Any, book: Book) -> None:
    """What goes wrong here costs the figures of one method, not the subject's further rounds."""
    sampled, counts = sampling(subject)(12), book.of(subject)["waits"]
    for name in names:
        what, seconds = f"{subject.name}, waits, {name}", 12 * book.step.get(subject.name, 0.0)
        if (subject.name, name) not in book.failed and book.fits(what, seconds):
            book.tries(what, partial(count_into, counts, name, model, sampled))


def count_into(counts: dict[str, Any], name: str, model: Any, sampled: Sample) -> None:
    counts[name] = waits(model, METHODS[name], sampled)


def waits(model: Any, settings: Settings | None, sampled: Sample) -> dict[str, float]:
    """How often the host waits for the device in a step, median by kind of step."""
    patched, counts = model if settings is None else attach(model, settings), []
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            sampled(patched, lambda *_: counts.append(sum("synchroniz" in str(w.message) for w in seen)))
        finally:
            torch.cuda.set_sync_debug_mode("default")
    each = [b - a for a, b in pairwise(counts)]
    report = last_report(patched)
    actions = ["computed"] * len(each) if report is None else [e.action for e in report.evaluations[1:]]
    return {
        kind: median(count for count, action in zip(each, actions, strict=True) if action == kind)
        for kind in sorted(set(actions))
    }


def plan(subjects: Sequence[full_size.Subject], rounds: int) -> list[tuple[str, full_size.Subject, Part]]:
    """What to do, in order: whatever the budget cuts off at the end decides least."""
    parts: list[tuple[str, full_size.Subject, Part]] = []
    counted = ("waits", partial(count_waits, WAITS)) if timed.on_cuda() else None
    for number, subject in enumerate(subjects):
        parts.append(("round 1", subject, partial(measure, 0, [*DECIDING, *OTHERS])))
        parts += [(counted[0], subject, counted[1])] if counted and number == 0 else []
    for names in (DECIDING, OTHERS):
        for turn in range(1, rounds):
            parts += [(f"round {turn + 1}", subject, partial(measure, turn, names)) for subject in subjects]
    return parts + ([(counted[0], subject, counted[1]) for subject in subjects[1:]] if counted else [])


def attempt(what: str, subject: full_size.Subject, part: Part, models: Models, book: Book) -> None:
    """A part of the work; whatever goes wrong in it leaves the rest as it was."""
    name = subject.name
    if (name, "") in book.failed:
        return
    begin = book.begun.get(name, 30.0 if timed.on_cuda() else 5.0) + book.step.get(name, 0.0) * 5
    if book.fits(f"{name}, {what}", begin):
        book.say(f"{name}, {what}")
        book.started = time.monotonic()
        if not book.tries(f"{name}, {what}", lambda: part(subject, models.of(subject.row), book)):
            book.failed.add((name, ""))
            models.clear()


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="networks small enough for a CPU, float32")
    parser.add_argument("--only", default="", help="part of the name of what to measure")
    parser.add_argument("--rounds", type=int, default=3, help="of every method")
    parser.add_argument("--budget", type=float, default=540.0, help="seconds for everything")
    parser.add_argument("--out", type=Path, help="file without ending; default: print only")
    return parser.parse_args()


def main() -> None:
    arguments = options()
    if not (arguments.small or timed.on_cuda()):
        raise SystemExit("There is no GPU here: add --small, or set HICACHE_DEVICE=cuda on a machine that has one.")
    book, models = Book(arguments), Models(dtype_of(arguments))
    subjects = full_size.SMALL if arguments.small else full_size.FULL
    chosen = [subject for subject in subjects if arguments.only.lower() in subject.name.lower()]
    with torch.no_grad():
        book.tries("sums", lambda: measure_sums(arguments, book))
        book.tries("bytes held", lambda: book.data["held"].update({f"{cfg:g}": held(cfg) for cfg in (1.0, 4.0)}))
        for what, subject, part in plan(chosen, arguments.rounds):
            attempt(what, subject, part, models, book)
            book.write()
    book.write()
    print(document(book.data))


if __name__ == "__main__":
    main()
