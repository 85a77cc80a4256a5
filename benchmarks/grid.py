"""Does *target speed* ever lose to fewer steps? Every subject, step count, sampler and speed, no cell left out.

python dev.py exec -- python benchmarks/grid.py --out docs/benchmarks/grid.md
python dev.py exec -- python benchmarks/grid.py --steps 4 6 8 10 --out docs/benchmarks/short_runs.md

With --only some subjects are measured, and take the place of their rows in the files that are there.

A cell is behind where the mean of its pictures is below that of as many steps of the same sampler, where its worst
picture is more than 1 dB below the worst of those, or where it is more than 2 dB below a cell of the same run with
fewer calls. All pictures of a cell are sampled as one batch.
"""

import argparse
import csv
import logging
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, fields
from functools import cache
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from harness import counted_calls, latent_psnr, machine, write, write_csv
from subjects import SUBJECTS, Subject
from torch import Tensor
from tqdm import tqdm

from hicache_comfy import attach
from hicache_core import presets

SAMPLERS = ("euler", "res_multistep", "dpmpp_2m")  # and the subject's usual one
STEPS = (20, 25, 28, 50)
SPEEDS = (1.5, 2.0, 2.5, 3.0, 4.0, 5.0)
SHORT = ((25, 2.0), (25, 2.5), (50, 2.5), (50, 5.0))  # steps and speeds of the first table
NOTE = (
    "Latent PSNR in dB to the full run of the same sampler: mean (worst picture). In every cell: calls and what "
    "*target speed* gives; then as many steps of the same sampler. In bold: in what a cell is behind. All: the run is "
    "computed whole."
)
MEAN, WORST, LESS = 0.0, 1.0, 2.0  # dB that a cell may be behind


@dataclass(frozen=True)
class Cell:
    subject: str
    cfg: float
    steps: int
    sampler: str
    speed: float
    calls: int
    ours: float
    ours_worst: float
    fewer: float
    fewer_worst: float
    less: float = 0.0  # how far below a cell with fewer calls

    @property
    def behind(self) -> str:
        """In what, or an empty string."""
        reasons = {
            "mean": self.ours < self.fewer - MEAN,
            "worst": self.ours_worst < self.fewer_worst - WORST,
            "more calls": self.less > LESS,
        }
        return ", ".join(name for name, is_so in reasons.items() if is_so)


def samplers_of(subject: Subject) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*SAMPLERS, subject.usual["sampler"])))


def run_of(subject: Subject, pictures: int, cfg: float, sampler: str, steps: int) -> Iterator[Cell]:
    """The cells of all speeds of one run."""

    @cache
    def fewer(count: int) -> Tensor:
        return sampled(subject.model, count)[0]

    def sampled(model: Any, count: int) -> tuple[Tensor, int]:
        with counted_calls(subject.model) as calls, torch.no_grad():
            return subject.together(model, subject.jobs(pictures, steps=count, sampler=sampler, cfg=cfg)), calls[0]

    _, full_calls = sampled(subject.model, steps)
    best = 0.0
    for speed in sorted(SPEEDS, reverse=True):
        latents, calls = sampled(attach(subject.model, presets.speed(speed)), steps)
        affordable = max(1, int(calls * steps / full_calls))
        if affordable >= steps:  # the full run
            continue
        ours, theirs = (latent_psnr(one, fewer(steps)) for one in (latents, fewer(affordable)))
        figures = (mean(ours), min(ours), mean(theirs), min(theirs))
        yield Cell(subject.name, cfg, steps, sampler, speed, affordable, *figures, max(0.0, best - mean(ours)))
        best = max(best, mean(ours))


def cells_of(name: str, split: str, pictures: int, lengths: Sequence[int]) -> list[Cell]:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # of torchsde, about rounding
    logging.getLogger("hicache").setLevel(logging.ERROR)
    subject = SUBJECTS[name](split)
    every = product(subject.scales, samplers_of(subject), lengths)
    return [cell for cfg, sampler, steps in every for cell in run_of(subject, pictures, cfg, sampler, steps)]


def summary(cells: list[Cell]) -> list[str]:
    """One line for each subject and scale of CFG."""
    lines = [
        "| subject | CFG | cells | behind | ahead by: mean, worst picture | least ahead: mean, worst picture |",
        "|---|---|---|---|---|---|",
    ]
    for which in dict.fromkeys((cell.subject, cell.cfg) for cell in cells):
        group = [cell for cell in cells if (cell.subject, cell.cfg) == which]
        ahead = [cell.ours - cell.fewer for cell in group]
        worst = [cell.ours_worst - cell.fewer_worst for cell in group]
        behind = sum(bool(cell.behind) for cell in group)
        lines.append(
            f"| {which[0]} | {which[1]:g} | {len(group)} | {behind} | {mean(ahead):.1f}, {mean(worst):.1f} | "
            f"{min(ahead):+.1f}, {min(worst):+.1f} |"
        )
    return lines


def in_short(cells: list[Cell]) -> list[str]:
    """A few cells of every subject, for readers in a hurry: the README shows some of these lines."""
    heads = [f"{steps} steps, speed {speed:g}" for steps, speed in SHORT]
    lines = [f"| subject | CFG | sampler | {' | '.join(heads)} |", "|---" * (3 + len(SHORT)) + "|"]
    found = {(c.subject, c.cfg, c.sampler, c.steps, c.speed): c for c in cells}
    for subject, cfg in dict.fromkeys((cell.subject, cell.cfg) for cell in cells):
        for sampler in SAMPLERS[:2]:
            shown = [found[subject, cfg, sampler, steps, speed] for steps, speed in SHORT]
            lines.append(f"| {subject} | {cfg:g} | {sampler} | {' | '.join(map(both, shown))} |")
    return lines


def both(cell: Cell) -> str:
    return f"{cell.ours:.1f} ({cell.ours_worst:.1f}); {cell.fewer:.1f} ({cell.fewer_worst:.1f})"


def table(cells: list[Cell]) -> list[str]:
    """A line for every run; by speed, calls and ours, then as many steps."""
    lines = [f"| CFG | steps | sampler | {' | '.join(f'{s:g}x' for s in SPEEDS)} |", "|---" * (3 + len(SPEEDS)) + "|"]
    for _, run in grouped(cells):
        by_speed = {cell.speed: cell for cell in run}
        texts = [in_a_cell(by_speed[speed]) if speed in by_speed else "all" for speed in SPEEDS]
        lines.append(f"| {run[0].cfg:g} | {run[0].steps} | {run[0].sampler} | {' | '.join(texts)} |")
    return lines


def in_a_cell(cell: Cell) -> str:
    return f"{cell.calls}: {both(cell)}{' **' + cell.behind + '**' if cell.behind else ''}"


def grouped(cells: list[Cell]) -> Iterator[tuple[Any, list[Cell]]]:
    for which in dict.fromkeys((cell.subject, cell.cfg, cell.sampler, cell.steps) for cell in cells):
        yield which, [c for c in cells if (c.subject, c.cfg, c.sampler, c.steps) == which]


def page(cells: list[Cell], heading: str) -> str:
    behind = sum(bool(cell.behind) for cell in cells)
    share = f"{behind} of {len(cells)} cells are behind ({100 * behind / len(cells):.1f} %)."
    parts = [heading, "", NOTE, "", share, "", *summary(cells)]
    if {cell.steps for cell in cells} >= {steps for steps, _ in SHORT}:
        parts += ["", "In short:", "", *in_short(cells)]
    for name in dict.fromkeys(cell.subject for cell in cells):
        parts += ["", f"## {name}", "", *table([cell for cell in cells if cell.subject == name])]
    return "\n".join([*parts, ""])


def measured_before(out: Path | None, replaced: set[str]) -> list[Cell]:
    """The cells of other subjects in the file beside the page, so that some can be measured again without all."""
    file = out.with_suffix(".csv") if out else None
    if file is None or not file.exists():
        return []
    kinds: dict[str, Any] = {field.name: field.type for field in fields(Cell)}
    with file.open(encoding="utf-8") as lines:
        rows = [Cell(**{name: kind(row[name]) for name, kind in kinds.items()}) for row in csv.DictReader(lines)]
    return [cell for cell in rows if cell.subject not in replaced]


def rounded(cell: Cell) -> dict[str, Any]:
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in asdict(cell).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=SUBJECTS, default=list(SUBJECTS))
    parser.add_argument("--split", choices=["train", "test"], default="test")
    parser.add_argument("--pictures", type=int, default=8)
    parser.add_argument("--steps", nargs="+", type=int, default=STEPS, help="of the runs")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path, help="Markdown file; its other subjects stay as they are")
    arguments = parser.parse_args()
    seeds = f"{arguments.split} split, {arguments.pictures} pictures (seeds 1000 to {999 + arguments.pictures})"
    with ProcessPoolExecutor(arguments.processes) as pool:
        jobs = [
            pool.submit(cells_of, name, arguments.split, arguments.pictures, arguments.steps) for name in arguments.only
        ]
        for job in tqdm(as_completed(jobs), total=len(jobs)):
            found = job.result()
            cells = [*measured_before(arguments.out, {found[0].subject}), *found]
            write(page(cells, f"{machine()}, {seeds}."), arguments.out)
            write_csv([rounded(cell) for cell in cells], arguments.out)


if __name__ == "__main__":
    main()
