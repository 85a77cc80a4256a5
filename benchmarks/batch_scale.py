"""Where the driver of batches becomes the limit: one process, up to a thousand ComfyUIs that only wait.

    python dev.py exec -- python benchmarks/batch_scale.py --out docs/benchmarks/batch_scale.md

The driver is the real one with all it writes: bindings, manifest, pictures, progress bar. Only the ComfyUIs are
stand-ins (stand_in_server.py), in a process of their own: they wait as long as a row takes and send the messages that a
row sends meanwhile, 20 steps spread over it. Rows are the 24 texts of tools/batch_example over and over; pictures are
noise of the size that is named above and are deleted afterwards.

*of the ideal*: rows a second, over workers / seconds of a row; the time counted is that of the whole batch, with the
check of every row before the first is sent, and the wait for the last. *processor*: of the driver's process, which has
one thread of work; *busy*: the time in which its event loop waits for no server, so the processor's, the disk's
and that of other programs on the same cores. A driver that is busy all the time is the limit; at most it
does 1000 / (busy, ms a row) rows a second. With rows of 0 seconds, driver and stand-ins alone are measured;
*stand-ins*: share of a core that each process of them used, the limit where it comes near 100%.
*open files*: of the driver, most of them connections; `ulimit -n` must allow them.
"""

import argparse
import asyncio
import os
import platform
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
from batch_example import PROMPTS, WORKFLOW
from stand_in_server import running
from waits import IdleClock

from hicache_batch.bindings import Wanted
from hicache_batch.cli import allow_many_files
from hicache_batch.client import Client
from hicache_batch.manifest import Record
from hicache_batch.progress import Progress
from hicache_batch.rows import PROMPT, Row
from hicache_batch.run import Batch, run_batch
from hicache_batch.workflow import read_workflow

FEWEST = 1000  # rows where they take no time
MOST = 5000


@dataclass(frozen=True)
class Case:
    workers: int
    seconds: float
    rows: int


@dataclass(frozen=True)
class Result:
    """Seconds: of the batch by the clock, of the driver's processor, of its loop busy, of a stand-in's processor."""

    wall: float
    processor: float
    busy: float
    stand_ins: float
    open_files: int


class StandIns:
    """An engine: the workers take turns among the ports of the stand-ins' processes."""

    def __init__(self, workers: int, ports: Sequence[int]) -> None:
        self._urls = {f"worker {n}": f"http://127.0.0.1:{ports[n % len(ports)]}/{n}" for n in range(workers)}
        self.names = list(self._urls)

    async def __aenter__(self) -> "StandIns":
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def bring_up(self, name: str) -> str:
        return self._urls[name]

    def where(self, name: str) -> str:
        return name


class Watched(Progress):
    """Counts open files now and then; what goes wrong ends the benchmark."""

    open_files, seen = 0, 0

    def recorded(self, record: Record) -> None:
        super().recorded(record)
        if self.seen % 200 == 0:
            self.open_files = max(self.open_files, len(os.listdir("/proc/self/fd")))
        self.seen += 1

    def say(self, sentence: str) -> None:
        super().say(sentence)
        if " is lost: " in sentence or " failed " in sentence:
            raise SystemExit(sentence)


async def processor_of(port: int) -> float:
    async with Client(f"http://127.0.0.1:{port}/0") as client:
        return (await client.get("/system_stats"))["system"]["processor_seconds"]


def measure(case: Case, size: int, processes: int) -> Result:
    texts = [line for line in PROMPTS.read_text("utf-8").splitlines() if line]
    rows = [Row(index, {PROMPT: text}) for index, text in enumerate(islice(cycle(texts), case.rows))]
    with (
        TemporaryDirectory(prefix="batch-scale-") as folder,
        running(case.workers, case.seconds, size, processes) as ports,
    ):
        batch = Batch(read_workflow(WORKFLOW), rows, Wanted(), Path(folder))
        clock, before = IdleClock(), asyncio.run(processor_of(ports[0]))
        loop, progress = asyncio.SelectorEventLoop(clock), Watched(case.rows, batch.folder)
        wall, processor = time.perf_counter(), time.process_time()
        with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
            loop.run_until_complete(run_batch(batch, StandIns(case.workers, ports), progress))
            progress.close()
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        loop.close()
        stand_ins = asyncio.run(processor_of(ports[0])) - before
        return Result(wall, processor, wall - clock.idle, stand_ins, progress.open_files)


HEAD = (
    "| workers | seconds of a row | rows | rows a second | of the ideal | processor, ms a row | of one core "
    "| busy, ms a row | busy | stand-ins | open files |\n|---|---|---|---|---|---|---|---|---|---|---|"
)


def line(case: Case, result: Result) -> str:
    rate = case.rows / result.wall
    cells = [
        f"{case.workers} | {case.seconds:g} | {case.rows} | {rate:.1f}",
        f"{rate * case.seconds / case.workers:.0%}" if case.seconds else "",
        f"{1e3 * result.processor / case.rows:.2f} | {result.processor / result.wall:.0%}",
        f"{1e3 * result.busy / case.rows:.2f} | {result.busy / result.wall:.0%}",
        f"{result.stand_ins / result.wall:.0%} | {result.open_files}",
    ]
    return f"| {' | '.join(cells)} |"


def document(lines: Sequence[str], size: int, processes: int) -> str:
    return (
        "# One driver of batches\n\n"
        f"One driver, pictures of {size:,} bytes, stand-ins in {processes} process(es); {platform.machine()} CPU with "
        f"{os.cpu_count()} cores, which the stand-ins share, Python {platform.python_version()}, aiohttp "
        f"{aiohttp.__version__}.\n\n`python dev.py exec -- python {' '.join(sys.argv)}`\n\n{HEAD}\n"
        + "\n".join(lines)
        + "\n\n"
        + (__doc__ or "").split("\n\n", 2)[2]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[10, 100, 300, 1000])
    parser.add_argument("--seconds", type=float, nargs="+", default=[10.0, 0.0], help="that a row takes")
    parser.add_argument("--rows", type=int, default=5, help=f"for every worker; {MOST} in all at most")
    parser.add_argument("--bytes", type=int, default=200_000, help="of a picture")
    parser.add_argument("--processes", type=int, default=1, help="of stand-ins")
    parser.add_argument("--out", type=Path, help="Markdown file; default: print only")
    arguments = parser.parse_args()
    allow_many_files()
    lines = []
    for seconds in arguments.seconds:
        for workers in arguments.workers:
            rows = max(arguments.rows * workers, 0 if seconds else FEWEST)
            case = Case(workers, seconds, min(rows, MOST))
            lines.append(line(case, measure(case, arguments.bytes, arguments.processes)))
            print(lines[-1], flush=True)
    text = document(lines, arguments.bytes, arguments.processes)
    print(text)
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
