"""Which steps to compute: *target speed* beside every schedule that was published for a real model.

python dev.py exec -- python benchmarks/schedules.py --out docs/benchmarks/schedules.md

No model runs: the schedules are those of benchmarks/data/published_schedules.csv.
"""

import argparse
import platform
import sys
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import accumulate, chain, combinations, product
from pathlib import Path
from statistics import mean

import densities
import matplotlib.pyplot as plt
from data import published as real
from data.published import GROUPS, Schedule, Steps, cells, of_group
from matplotlib import __version__ as matplotlib_version
from matplotlib.axes import Axes

from hicache_core.cheapest import cheapest
from hicache_core.density import FLOOR, RHO, step_density

FLOORS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05)
CALLS = (9, 13, 21)
LIMITS = {real.PSNR: 3.0, real.LPIPS: 1.5, real.MEANCACHE: 2.2}  # of our misfit; a test holds it to them
DARK, PALE, BLUE, ORANGE = "#444444", "#9a9a9a", "#2166ac", "#e08214"

Density = Callable[[Schedule], Sequence[float]]


def rounded(one: Schedule) -> Steps:
    """Equal distances in our density instead, each rounded to the next step that is free: as many calls, the forced
    steps among them."""
    free = [k for k in range(one.steps) if k not in one.forced]
    passed = list(accumulate(shipped(one)[k] for k in free))
    count = one.calls - len(one.forced)
    chosen: list[int] = []
    for call in range(1, count + 1):
        least = max(chosen, default=-1) + 1
        wanted = bisect_left(passed, passed[-1] * call / (count + 0.5))
        chosen.append(min(max(least, wanted), len(free) - count + call - 1))
    return tuple(sorted((*one.forced, *(free[k] for k in chosen))))


def shipped(one: Schedule, floor: float | None = None) -> Sequence[float]:
    """The engine's, with its own floor for latents of that size, or another one."""
    return step_density(one.sigmas, flow=True, floor=floor or one.floor)


def of(density: densities.Density) -> Density:
    return lambda one: density(one.sigmas, True, one.floor)


BRIEF: dict[str, Density] = {"ours": shipped, "even steps": of(densities.even), "before": of(densities.former)}
DENSITIES: dict[str, Density] = {
    f"**ours**: rho {RHO:g}, floor by the size of the latents": shipped,
    f"rho {RHO:g}, floor {FLOOR:g} for all": lambda one: shipped(one, FLOOR),
    **{f"rho {rho:g}, floor by size": of(densities.of_constants(rho, 1.0)) for rho in (2.0, 3.0)},
    "even steps": BRIEF["even steps"],
    "before: sqrt(moves x changes)": BRIEF["before"],
}


def plan_for(density: Density, one: Schedule) -> Steps:
    """Our plan with its number of calls and its forced steps."""
    return tuple(cheapest(density(one), one.calls, one.forced))


def misfit(ours: Sequence[float], theirs: Sequence[float]) -> float:
    return mean(abs(a - b) for a, b in zip(ours, theirs, strict=True))


def mean_misfit(density: Density, schedules: Iterable[Schedule]) -> float:
    return misfit_of(partial(plan_for, density), schedules)


def misfit_of(plan: Callable[[Schedule], Steps], schedules: Iterable[Schedule]) -> float:
    """In the mean over the cells, each the mean of its schedules."""
    return mean(mean(misfit(plan(one), one.computed) for one in cell) for cell in cells(schedules))


def among_themselves(schedules: Iterable[Schedule]) -> str:
    """How far apart two schedules of a cell are, in the mean over the cells that have two."""
    pairs = [[misfit(a.computed, b.computed) for a, b in combinations(cell, 2)] for cell in cells(schedules)]
    return f"{mean(map(mean, filter(None, pairs))):.2f}" if any(pairs) else ""


def lateness(schedules: Iterable[Schedule]) -> str:
    """The misfit of ours with its sign: positive where our steps come later."""
    apart = [[mean(plan_for(shipped, one)) - mean(one.computed) for one in cell] for cell in cells(schedules)]
    return f"{mean(map(mean, apart)):.2f}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))


def summary(schedules: list[Schedule]) -> str:
    groups = [of_group(schedules, group) for group in GROUPS]
    head = [f"{name}, {len(cells(group))}" for name, group in zip(GROUPS, groups, strict=True)]
    rows = {name: [f"{mean_misfit(one, group):.2f}" for group in groups] for name, one in DENSITIES.items()}
    rows["ours, rounded"] = [f"{misfit_of(rounded, group):.2f}" for group in groups]
    rows["two of a cell, from each other"] = [*map(among_themselves, groups)]
    rows["ours lies later by"] = [*map(lateness, groups)]
    return table(["density", *head], [[name, *figures] for name, figures in rows.items()])


def in_brief(schedules: list[Schedule]) -> str:
    figures = [f"{mean_misfit(density, schedules):.1f}" for density in BRIEF.values()] if schedules else []
    return f"**{figures[0]}** ({', '.join(figures[1:])})" if figures else ""


def compared(schedules: list[Schedule], model: str, calls: int) -> list[Schedule]:
    """The cell of a model for which several methods were compared, in the order of the groups."""
    cell = [one for one in schedules if one.compared and (one.model, one.calls) == (model, calls)]
    return sorted(cell, key=lambda one: GROUPS.index(one.group))


def cell_by_cell(schedules: list[Schedule]) -> str:
    groups = [group for group in GROUPS if group != real.OWN]
    rows: list[list[str]] = []
    for model, calls in product(real.LATENTS, CALLS):
        cell = compared(schedules, model, calls)
        rows.append([model, str(calls), *(in_brief(of_group(cell, group)) for group in groups)])
    return table(["model", "calls", *groups], rows)


def floors(schedules: list[Schedule]) -> str:
    ways: dict[str, Callable[[Schedule], float]] = {
        **{f"{value:g}": lambda _, value=value: value for value in FLOORS},
        "**ours**, by the size of the latents": lambda one: one.floor,
    }
    parts = product(real.LATENTS, (*LIMITS, real.EXHAUSTIVE))
    found = {(m, group): of_group((one for one in schedules if one.model == m), group) for m, group in parts}
    columns = {f"{model}, {group}": some for (model, group), some in found.items() if some}
    rows: list[list[str]] = []
    for name, floor in ways.items():
        figures = [mean_misfit(lambda one, floor=floor: shipped(one, floor(one)), some) for some in columns.values()]
        rows.append([name, *(f"{figure:.2f}" for figure in figures)])
    return table(["floor", *columns], rows)


def spelled(steps: Steps) -> str:
    return " ".join(map(str, steps))


def free_plans(schedules: list[Schedule]) -> str:
    """FLUX.1-dev: what we compute when nothing is forced, and the best that was found with steps forced."""
    found = (("hill climbing", real.PSNR), ("exhaustive best", real.EXHAUSTIVE))
    rows: list[list[str]] = []
    for calls in CALLS:
        cell = compared(schedules, "FLUX.1-dev", calls)
        plans = {f"{name}, nothing forced": tuple(cheapest(density(cell[0]), calls)) for name, density in BRIEF.items()}
        plans |= {f"{one.method}, PSNR": one.computed for one in cell if (one.method, one.group) in found}
        rows += [[str(calls), name, spelled(steps)] for name, steps in plans.items()]
    return table(["calls", "schedule", "computed steps"], rows)


def one_by_one(schedules: list[Schedule]) -> str:
    """The lists of other sources beside ours; nothing was forced in them but the first step."""
    rows: list[list[str]] = []
    for one in schedules:
        if not one.compared:
            figures = [f"{misfit(plan_for(density, one), one.computed):.1f}" for density in BRIEF.values()]
            plans = [spelled(one.computed), spelled(plan_for(shipped, one))]
            rows.append([one.model, one.method, str(one.steps), str(one.calls), *plans, *figures])
    return table(["model", "method", "steps", "calls", "published", "our plan", *BRIEF], rows)


def position(sigma: float, sigmas: Sequence[float]) -> float:
    """Where in a run this noise level comes, in steps."""
    k = next(k for k, after in enumerate(sigmas[1:]) if after < sigma)
    return k + (sigmas[k] - sigma) / (sigmas[k] - sigmas[k + 1])


def by_noise_levels(_: list[Schedule]) -> str:
    """The lists that are known by their noise levels, as 1 - sigma, with what we compute of a long run."""
    rows: list[list[str]] = []
    for one, levels in real.by_noise_levels():
        lists = {one.method: levels}
        lists |= {name: [one.sigmas[k] for k in cheapest(way(one), len(levels))] for name, way in BRIEF.items()}
        places = {name: [position(level, one.sigmas) for level in some] for name, some in lists.items()}
        for name, some in lists.items():
            shares = " ".join(f"{1.0 - level:.3f}" for level in some)
            apart = misfit(places[name], places[one.method])
            rows.append([one.model, str(len(levels)), name, f"{apart:.1f}", shares])
    return table(["model", "calls", "schedule", "misfit, in hundredths of the run", "signal"], rows)


def rows_of(cell: list[Schedule]) -> list[tuple[str, Steps, str]]:
    """Name, computed steps and colour: the searches, then ours, then what is no search for the picture's quality."""
    objective = {real.PSNR: ", PSNR", real.LPIPS: ", LPIPS"}
    shown = [one for one in cell if one.method != "exhaustive"]
    searches = [one for one in shown if one.group in GROUPS[:5]]
    both = [("ours", plan_for(shipped, shown[0]), BLUE), ("before", plan_for(BRIEF["before"], shown[0]), ORANGE)]
    return [
        *((one.method + objective.get(one.group, ""), one.computed, DARK) for one in searches),
        *both,
        *((one.method, one.computed, PALE) for one in shown if one not in searches),
    ]


def draw_cell(axis: Axes, cell: list[Schedule]) -> None:
    rows = rows_of(cell)
    for height, (_, steps, colour) in enumerate(rows):
        axis.axhline(height, color="#eeeeee", linewidth=0.8, zorder=0)
        axis.plot(steps, [height] * len(steps), "o", color=colour, markersize=5 if colour in (BLUE, ORANGE) else 3.5)
    axis.set_yticks(range(len(rows)), [name for name, _, _ in rows], fontsize=8)
    for label, (_, _, colour) in zip(axis.get_yticklabels(), rows, strict=True):
        label.set_color(colour)
    axis.set(xlim=(-1, cell[0].steps), ylim=(len(rows) - 0.4, -0.6))
    axis.set_title(f"{cell[0].model}, {cell[0].calls} calls in {cell[0].steps} steps", loc="left", fontsize=10)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(axis="y", length=0)


def draw(schedules: list[Schedule], path: Path) -> None:
    """The computed steps of every schedule, by model and calls."""
    panels = [[compared(schedules, model, calls) for calls in CALLS] for model in real.LATENTS]
    heights = [4 + max(len(rows_of(cell)) for cell in row) for row in panels]
    figure, axes = plt.subplots(len(panels), len(CALLS), figsize=(15, 0.19 * sum(heights)), height_ratios=heights)
    figure.set_layout_engine("constrained", h_pad=0.12)
    for axis, cell in zip(axes.flat, chain(*panels), strict=True):
        draw_cell(axis, cell)
    for axis in axes[-1]:
        axis.set_xlabel("step")
    figure.savefig(path, dpi=100)


def document(schedules: list[Schedule]) -> str:
    parts = (summary, cell_by_cell, floors, free_plans, by_noise_levels, one_by_one)
    return TEXT.format(
        count=len(schedules),
        versions=f"Python {platform.python_version()}, matplotlib {matplotlib_version}",
        command=f"python dev.py exec -- python {' '.join(sys.argv)}",
        **{part.__name__: part(schedules) for part in parts},
    )


TEXT = """{count} schedules that others published for real models, beside what *target speed* computes of the same
steps. No model runs here; {versions}. Where they come from: [benchmarks/data](../../benchmarks/data/README.md).

`{command}`

The misfit of two schedules with as many calls is how far apart their computed steps lie, in steps, in the mean over the
calls. A cell is a model with a number of calls; the columns' heads count the cells, and every figure is the mean over
them. The steps that a search computed in any case, the first three and the last, are computed in ours too; the density
spreads the others. "Before" is the density that *target speed* had earlier. "Rounded" are equal distances in ours, by
rounding to whole steps, instead of the plan whose forecasts cost least.

{summary}

The searches and MeanCache are what ours should be near to: they judge a schedule by the end of the run, MeanCache by
deviations summed along it. BudCache's search, for the error of the last latent, counts under PSNR for the videos, which
have no other. Gates and local errors weigh every step by itself, whatever its error does to the picture.

![The computed steps by model and calls](schedules.png)

By model and calls: ours, and in brackets even steps and the density before.

{cell_by_cell}

The floor, with our rho. The last line is that of hicache_core/density.py, which follows the size of the latents: all
cells of all frames of a video count.

{floors}

FLUX.1-dev when nothing but the first step is forced in ours. In the searches the first three and the last one were.

{free_plans}

Searched with nothing forced, over a run of a hundred or more steps, with reuse of the model's output: 1 - sigma at the
computed steps, and the misfit. Ours always computes the first step; the list for FLUX.1-dev begins after it.

{by_noise_levels}

Lists of other sources, in which nothing is forced, beside ours, and the misfits of three densities.

{one_by_one}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="Markdown file, with a picture beside it; default: print only")
    out, schedules = parser.parse_args().out, real.schedules()
    text = document(schedules)
    print(text)
    if out:
        out.write_text(text, encoding="utf-8")
        draw(schedules, out.with_suffix(".png"))


if __name__ == "__main__":
    main()
