"""The schedules of published_schedules.csv; README.md says where they come from."""

import csv
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hicache_core.density import floor_of

FILE = Path(__file__).parent / "published_schedules.csv"
FIRST = (0,)  # the step that is computed in any case
LATENTS = {  # frames, height and width in cells, of the models for which several methods were compared
    "FLUX.1-dev": (1, 128, 128),
    "Qwen-Image": (1, 166, 166),
    "HunyuanVideo": (17, 60, 80),
    "Wan2.1-T2V-1.3B": (17, 60, 104),
}
PSNR, LPIPS, MEANCACHE, EXHAUSTIVE = "PSNR searches", "LPIPS searches", "MeanCache", "exhaustive search"
BUDCACHE, OWN, GATES, LOCAL, HAND = "BudCache, images", "MeanCache's own", "gates", "local error", "by hand or even"
GROUPS = (PSNR, LPIPS, MEANCACHE, EXHAUSTIVE, BUDCACHE, OWN, GATES, LOCAL, HAND)
OF_OBJECTIVE = {
    "PSNR": PSNR,
    "LPIPS": LPIPS,
    "MSE of the last latent": PSNR,
    "deviation of the average velocity": MEANCACHE,
    "PSNR, all schedules": EXHAUSTIVE,
    "most frequent choice of a gate": GATES,
    "gate on norm ratios": GATES,
    "local error": LOCAL,
    "curvature of the path": LOCAL,
    "by hand": HAND,
    "evenly spaced": HAND,
}

Steps = tuple[int, ...]


@dataclass(frozen=True)
class Schedule:
    """A published schedule.

    computed  the steps that are computed, from 0
    forced    those of them that are computed whatever the method chooses
    sigmas    the noise levels of the run, one more than steps
    """

    model: str
    source: str
    method: str
    objective: str
    computed: Steps
    forced: Steps
    sigmas: tuple[float, ...]

    @property
    def steps(self) -> int:
        return len(self.sigmas) - 1

    @property
    def calls(self) -> int:
        return len(self.computed)

    @property
    def compared(self) -> bool:
        """Whether there are other methods' for the same model, steps and calls, of the same source."""
        return self.source.startswith("nanguoyu")

    @property
    def group(self) -> str:
        """BudCache counts as a search for PSNR on videos only: on images there are others."""
        if self.method == "BudCache" and LATENTS[self.model][0] == 1:
            return BUDCACHE
        return OWN if self.method == "MeanCache" and not self.compared else OF_OBJECTIVE[self.objective]

    @property
    def floor(self) -> float:
        """What the engine takes for latents of this size."""
        return floor_of((1, 16, *LATENTS.get(self.model, LATENTS["FLUX.1-dev"])), flow=True)


def noise_levels(rule: str, steps: int) -> tuple[float, ...]:
    """Of a rule like "mu .8343 to .02": a shift, or its log mu; from: the first time; to: the last level before 0."""
    words = rule.split()
    options = dict(zip(words[::2], map(float, words[1::2]), strict=True))
    shift, end = options.get("shift") or math.exp(options["mu"]), options.get("to")
    times = [options.get("from", 1.0) * (1.0 - k / steps) for k in range(steps)]
    sigmas = [shift * t / (1.0 + (shift - 1.0) * t) for t in times]
    stretch = (1.0 - end) / (1.0 - sigmas[-1]) if end else 1.0
    return (*(1.0 - (1.0 - sigma) * stretch for sigma in sigmas), 0.0)


def schedules() -> list[Schedule]:
    """All whose computed steps are known."""
    return [_schedule(row) for row in _rows() if row["computed_steps"]]


def by_noise_levels() -> list[tuple[Schedule, list[float]]]:
    """Those of which only the noise levels of the computed steps are known, with them; their ``computed`` is empty."""
    rows = [row for row in _rows() if row["noise_levels"]]
    return [(_schedule(row), [float(word) for word in row["noise_levels"].split()]) for row in rows]


def cells(schedules: Iterable[Schedule]) -> list[list[Schedule]]:
    """Those of one model, its steps and calls together."""
    found: dict[tuple[str, int, int], list[Schedule]] = defaultdict(list)
    for one in schedules:
        found[one.model, one.steps, one.calls].append(one)
    return [*found.values()]


def of_group(schedules: Iterable[Schedule], group: str) -> list[Schedule]:
    return [one for one in schedules if one.group == group]


def _rows() -> list[dict[str, str]]:
    with FILE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _schedule(row: dict[str, str]) -> Schedule:
    return Schedule(
        *(row[name] for name in ("model", "source", "method", "objective")),
        computed=_numbers(row["computed_steps"]),
        forced=_numbers(row["forced"]) or FIRST,
        sigmas=noise_levels(row["sigma_schedule"], int(row["steps"])),
    )


def _numbers(text: str) -> Steps:
    return tuple(int(word) for word in text.split())
