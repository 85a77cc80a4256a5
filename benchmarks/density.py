"""Where to spend the calls: the density behind *target speed* with other constants, the one before, and even steps.

python dev.py exec -- python benchmarks/density.py --processes 2 --out docs/benchmarks/density.md
python dev.py exec -- python benchmarks/density.py --only flux mixture_64

Every way plans the same numbers of calls and differs in the computed steps only. A way is chosen by what it does on the
train split, and what the chosen one does on the test split is reported. All pictures of a run are sampled as one batch,
the usual way of the subject.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any

from densities import Density, even, former, of_constants
from harness import automatic_floor, in_processes, latent_psnr, machine, write, write_csv
from subjects import SUBJECTS, Subject, add_several

from comfy.model_sampling import CONST  # isort: skip

from hicache_comfy import attach
from hicache_comfy.plan import Sampling
from hicache_core import Settings, presets
from hicache_core.density import RHO
from hicache_core.schedule import StepRange, budget

RHOS = (2.0, 2.25, 2.5, 3.0)
FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the automatic floor
RUNS = {50: (8, 10, 14, 18), 25: (7, 10)}  # calls by steps
SPREAD = ("flux", "qwen_image", "sdxl", "wan", "gaussian_128", "mixture_16", "mixture_64", "mixture_256")
SPREAD += ("epsilon_mixture_64",)
SPLITS = ("train", "test")


SHIPPED, BEFORE, EVEN = f"rho {RHO:g}, floor x 1", "the density before", "even steps"
WAYS: dict[str, Density] = {
    **{f"rho {rho:g}, floor x {factor:g}": of_constants(rho, factor) for rho in RHOS for factor in FACTORS},
    BEFORE: former,
    EVEN: even,
}


@dataclass(frozen=True)
class Cell:
    """One plan on one split of one subject: PSNR of the latents, mean and worst picture."""

    subject: str
    split: str
    way: str
    steps: int
    calls: int
    mean: float
    worst: float


def planned(density: Sequence[float], calls: int) -> Settings:
    """The steps that *target speed* computes with this density."""
    steps = len(density)
    plan = budget(presets.speed(steps / calls), StepRange(steps, 0, steps, tuple(density)))
    return Settings(schedule="listed", steps=tuple(sorted(plan.computed)))


def noise_levels(subject: Subject, steps: int) -> list[float]:
    sampling = Sampling(steps, subject.usual["sampler"], subject.usual["scheduler"])
    return sampling.sigmas(subject.model.get_model_object("model_sampling"))


def measured(subject: Subject, work: list[Any]) -> Callable[[Settings], list[float]]:
    """PSNR by picture with these settings. Many ways come to the same plan."""
    full = subject.together(subject.model, work)
    return cache(lambda plan: latent_psnr(subject.together(attach(subject.model, plan), work), full))


def cells_of(name: str, pictures: int) -> list[Cell]:
    return [cell for split in SPLITS for cell in cells_of_split(SUBJECTS[name](split), split, pictures)]


def cells_of_split(subject: Subject, split: str, pictures: int) -> list[Cell]:
    flow = isinstance(subject.model.get_model_object("model_sampling"), CONST)
    floor, cells = automatic_floor(subject), []
    for steps, calls_of_run in RUNS.items():
        work, sigmas = subject.jobs(pictures, steps=steps), noise_levels(subject, steps)
        psnr_of = measured(subject, work)
        for way, calls in product(WAYS, calls_of_run):
            figures = psnr_of(planned(WAYS[way](sigmas, flow, floor), calls))
            cells.append(Cell(subject.name, split, way, steps, calls, mean(figures), min(figures)))
    return cells


@dataclass(frozen=True)
class Figures:
    """In the mean over the cells."""

    mean: float
    worst: float

    def __str__(self) -> str:
        return f"{self.mean:.1f} ({self.worst:.1f})"

    def beyond(self, other: "Figures") -> "Figures":
        return Figures(self.mean - other.mean, self.worst - other.worst)


def figures(cells: list[Cell], split: str) -> dict[str, Figures]:
    """Of every way."""
    found: dict[str, Figures] = {}
    for way in WAYS:
        group = [cell for cell in cells if (cell.split, cell.way) == (split, way)]
        found[way] = Figures(mean(cell.mean for cell in group), mean(cell.worst for cell in group))
    return found


def gains(cells: list[Cell], split: str) -> dict[str, Figures]:
    """Of every way over the shipped one."""
    all_ways = figures(cells, split)
    return {way: one.beyond(all_ways[SHIPPED]) for way, one in all_ways.items()}


def best_on_train(by_subject: list[list[Cell]]) -> str:
    by_way = [gains(cells, "train") for cells in by_subject]
    return max(WAYS, key=lambda way: mean(one[way].mean for one in by_way))


def choices(by_subject: list[list[Cell]]) -> list[str]:
    """By subject, on the test split: ours, what would have been chosen for it alone and for all, and no search."""
    for_all = best_on_train(by_subject)
    heads = ["subject", "shipped", "best of its own on train", "is", f"best of all on train: {for_all}", BEFORE, EVEN]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for cells in by_subject:
        test, own = figures(cells, "test"), best_on_train([cells])
        ways = [f"{test[own]}", own, *(f"{test[way]}" for way in (for_all, BEFORE, EVEN))]
        lines.append(f"| {cells[0].subject} | {test[SHIPPED]} | {' | '.join(ways)} |")
    return lines


def way_by_way(by_subject: list[list[Cell]]) -> list[str]:
    """Gains on the test split by subject, and over all of them on both."""
    heads = ["density", *(cells[0].subject for cells in by_subject), "all, train", "all, test"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    train, test = ([gains(cells, split) for cells in by_subject] for split in SPLITS)
    for way in WAYS:
        over_all = [
            Figures(mean(one[way].mean for one in each), mean(one[way].worst for one in each)) for each in (train, test)
        ]
        cells = " | ".join(f"{one.mean:+.1f} ({one.worst:+.1f})" for one in [*(one[way] for one in test), *over_all])
        lines.append(f"| {f'**{way}**' if way == SHIPPED else way} | {cells} |")
    return lines


TEXT = """{machine}.

{pictures} pictures of each split (seeds 1000 to {last}), each subject sampled its usual way: {runs}. Latent PSNR in dB
to the full run, mean and (worst picture), in the mean over these cells. Floors are multiples of the automatic one.

On the test split:

{choices}

Gain over the shipped density on the test split, in dB, and over all subjects on both splits:

{way_by_way}
"""


def document(by_subject: list[list[Cell]], pictures: int) -> str:
    runs = "; ".join(f"{steps} steps with {', '.join(map(str, calls))} calls" for steps, calls in RUNS.items())
    parts = {part.__name__: "\n".join(part(by_subject)) for part in (choices, way_by_way)}
    return TEXT.format(machine=machine(), pictures=pictures, last=999 + pictures, runs=runs, **parts)


def rounded(cell: Cell) -> dict[str, Any]:
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in asdict(cell).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_several(parser, SPREAD)
    parser.add_argument("--pictures", type=int, default=8)
    parser.add_argument("--out", type=Path, help="Markdown file; default: print only")
    arguments = parser.parse_args()
    by_subject = in_processes(cells_of, arguments.only, arguments.processes, arguments.pictures)
    write(document(by_subject, arguments.pictures), arguments.out)
    write_csv([rounded(cell) for cells in by_subject for cell in cells], arguments.out)


if __name__ == "__main__":
    main()
