"""Throughput of two workers against one, with real ComfyUIs and the small Flux.

    python dev.py exec -- python benchmarks/batch.py --out docs/benchmarks/batch.md

`python -m batch_example` as a user would run it, workers through Ray, one thread for each ComfyUI, one worker and two
in turns, so that what else the machine does strikes both. *rows a second*: while every worker works, that is from the
moment when the last of them has saved its first picture until the first of them saves its last one, by the times of the
files; the start of ComfyUI and the loading of the model are left out. *seconds of a row*: the median of the manifest's.
*whole command*: with the start of Ray and of ComfyUI, by the clock. The ratio is that of the medians of rows a second.
On a machine with two cores, two ComfyUIs and the driver share them: a cluster has cores of its own for every worker.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from batch_example import PROMPTS

WORKERS = (1, 2)
SEEDS = 1000  # from one round to the next


@dataclass(frozen=True)
class Result:
    """shares: rows of every worker. rate: rows a second. row: seconds of one. command: seconds of all of it."""

    workers: int
    shares: tuple[int, ...]
    rate: float
    row: float
    command: float


def write_prompts(file: Path, rows: int) -> None:
    """The example's texts, over and over."""
    texts = [text for text in PROMPTS.read_text("utf-8").splitlines() if text]
    file.write_text("\n".join(islice(cycle(texts), rows)) + "\n", "utf-8")


def run(workers: int, rows: int, seed: int) -> Result:
    with TemporaryDirectory(prefix="batch-") as folder:
        prompts, out = Path(folder, "prompts.txt"), Path(folder, "out")
        write_prompts(prompts, rows)
        options = {"--prompts": prompts, "--workers": workers, "--seed": seed, "--out": out}
        command = [sys.executable, "-m", "batch_example", *(str(part) for option in options.items() for part in option)]
        started = time.monotonic()
        done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
        seconds = time.monotonic() - started
        if done.returncode:
            raise SystemExit(f"The batch on {workers} workers failed:\n{done.stderr[-2000:]}")
        return read(workers, out, seconds)


def read(workers: int, out: Path, command: float) -> Result:
    """What the folder tells."""
    records = [json.loads(line) for line in (out / "manifest.jsonl").read_text("utf-8").splitlines()]
    times = saved_by_worker(records, out)
    if len(times) < workers or min(map(len, times.values())) < 2:
        raise SystemExit(f"{len(times)} of {workers} workers made two rows or more: give more --rows.")
    rows = median(record["seconds"] for record in records)
    return Result(workers, tuple(map(len, times.values())), rate(times.values()), rows, command)


def saved_by_worker(records: Sequence[dict[str, Any]], out: Path) -> dict[str, list[float]]:
    """When each worker's pictures were saved, the first one first."""
    times = defaultdict(list)
    for record in records:
        times[record["worker"]].append((out / record["files"][-1]["file"]).stat().st_mtime)
    return {worker: sorted(times[worker]) for worker in sorted(times)}


def rate(times: Sequence[list[float]]) -> float:
    """The sum of the workers' own, each counted in whole rows from its first to its last within the common time."""
    begin, end = max(one[0] for one in times), min(one[-1] for one in times)
    inside = [[moment for moment in one if begin <= moment <= end] for one in times]
    if min(map(len, inside)) < 2:
        raise SystemExit("The workers hardly worked at the same time: give more --rows.")
    return sum((len(one) - 1) / (one[-1] - one[0]) for one in inside)


HEAD = "| workers | rows of each | rows a second | seconds of a row | whole command, s |\n|---|---|---|---|---|"


def line(result: Result) -> str:
    shares = " + ".join(map(str, result.shares))
    return f"| {result.workers} | {shares} | {result.rate:.2f} | {result.row:.2f} | {result.command:.0f} |"


def ratio(results: Sequence[Result]) -> float:
    one, two = (median(result.rate for result in results if result.workers == workers) for workers in WORKERS)
    return two / one


def document(results: Sequence[Result], rows: int) -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "ray"))
    return (
        "# Two workers against one\n\n"
        f"The bundled small Flux, test split, 20 steps of euler at speed 2.5, {rows} rows, seeds from {SEEDS} times "
        f"the round on; {platform.machine()} CPU with {os.cpu_count()} cores, 1 thread for each ComfyUI, "
        f"Python {platform.python_version()}, {versions}, ComfyUI {host_version()}.\n\n"
        f"`python dev.py exec -- python {' '.join(sys.argv)}`\n\n{HEAD}\n"
        + "\n".join(map(line, results))
        + f"\n\n**Two workers do {ratio(results):.2f} times the rows of one.**\n\n"
        + (__doc__ or "").split("\n\n", 2)[2]
    )


def host_version() -> str:
    """As the checkout itself says it."""
    text = Path(os.environ["COMFYUI_PATH"], "comfyui_version.py").read_text("utf-8")
    return text.split('__version__ = "')[1].split('"')[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=2, help="of one worker and two")
    parser.add_argument("--out", type=Path, help="Markdown file; default: print only")
    arguments = parser.parse_args()
    results = []
    for turn in range(arguments.rounds):
        for workers in WORKERS:
            results.append(run(workers, arguments.rows, seed=SEEDS * turn))
            print(line(results[-1]), flush=True)
    text = document(results, arguments.rows)
    print(text)
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
