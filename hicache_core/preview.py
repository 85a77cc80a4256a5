"""What a run is going to do, as far as that is known before it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .density import FLOOR
from .pace import Pace
from .schedule import POLICIES, Plan
from .settings import Settings
from .steps import step_range


@dataclass(frozen=True, slots=True)
class Preview:
    """total     steps of the sampler
    computed  those that are computed for certain, in order
    fewest    computed steps if no forecast ever errs
    most      computed steps at most; more than ``fewest`` where the schedule follows what it measures on the way
    message   what the schedule cannot do, else empty
    """

    total: int
    computed: tuple[int, ...]
    fewest: int
    most: int
    message: str = ""


def look_ahead(
    settings: Settings,
    sigmas: Sequence[float],
    start_sigma: float = math.inf,
    end_sigma: float = 0.0,
    flow: bool = True,
    floor: float = FLOOR,
) -> Preview:
    """The same plan as a ``Session`` with these arguments makes."""
    steps = step_range(sigmas, start_sigma, end_sigma, flow, settings.signal_floor or floor)
    plan = POLICIES[settings.schedule](settings, steps)
    fewest = _fewest(plan, steps.total, unknown=min(settings.warmup_steps, settings.anchors))
    most = fewest if plan.controller is None else steps.total
    return Preview(steps.total, tuple(sorted(plan.computed)), fewest, most, plan.message)


def _fewest(plan: Plan, total: int, unknown: int) -> int:
    """Computed steps if no forecast ever errs; of the first ``unknown`` ones no error is known."""
    pace, calls = Pace(plan, total), 0
    for step in range(total):
        if pace.must_compute(step):
            pace.computed(step, 0.0 if calls >= unknown else None)
            calls += 1
    return calls
