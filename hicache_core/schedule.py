"""Which steps are computed and which may be forecast.

A policy turns settings and a range of steps into a ``Plan``. Steps outside the range are always computed.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # settings.py imports this module for POLICIES
    from .settings import Settings


@dataclass(frozen=True, slots=True)
class StepRange:
    """Steps ``first`` <= k < ``stop`` of ``total`` may be forecast; the others are computed."""

    total: int
    first: int
    stop: int

    def __contains__(self, step: int) -> bool:
        return self.first <= step < self.stop


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps to compute; with ``controller`` only those known beforehand, the others follow the measured errors."""

    computed: frozenset[int]
    controller: "GapController | None" = None
    message: str = ""  # what the plan could not do, for the report


Policy = Callable[["Settings", StepRange], Plan]


def interval(settings: "Settings", steps: StepRange) -> Plan:
    """The paper's schedule: warm-up, then one computed step in ``interval``, with no forced last step.

    With 50 steps, warm-up 3 and N = 3, 4, 5, 6, 7, 8, 10 it computes 18, 14, 12, 10, 9, 8, 7 steps.
    """
    head = range(min(settings.warmup_steps, steps.total))
    rest = range(settings.warmup_steps - 1, steps.total, settings.interval)
    return Plan(_outside(steps) | frozenset(head) | frozenset(rest))


def budget(settings: "Settings", steps: StepRange) -> Plan:
    """As many computed steps as ``speed`` allows: a dense head, then gaps that grow smoothly by ``growth``.

    Never fewer than the warm-up and one more: where that is too many for the speed, the plan says so. Steps computed
    before the range count as warm-up.
    """
    outside = _outside(steps)
    free = steps.stop - steps.first
    wanted = round(steps.total / settings.speed)
    head = max(0, settings.warmup_steps - steps.first)
    calls = min(free, max(wanted - len(outside), head + 1))
    chosen = outside | {steps.first + k for k in growing_gaps(free, calls, head, settings.growth)}
    if len(chosen) <= max(1, wanted):
        return Plan(chosen)
    reason = (
        f"speed {settings.speed:g} is out of reach: {len(chosen)} of {steps.total} steps must be computed; "
        "sample more steps, or lower warmup_steps or widen start_percent and end_percent"
    )
    return Plan(chosen, message=reason)


def growing_gaps(steps: int, calls: int, warmup: int, growth: float) -> list[int]:
    """``calls`` distinct steps out of ``steps``: 0 .. warmup - 1, then gaps in geometric progression.

    The gap after the last computed step belongs to the progression, so the tail is as sparse as its neighbourhood.
    """
    if calls >= steps:
        return list(range(steps))
    head = min(warmup, calls)
    rest = calls - head
    ratios = [growth ** (j - rest) for j in range(rest + 1)]  # at most 1, so that nothing overflows
    spare = steps - calls  # to spread over the gaps beyond one each
    ends = itertools.accumulate(spare * ratio / sum(ratios) for ratio in ratios[:rest])
    return [*range(head), *(head + j + math.floor(end + 0.5) for j, end in enumerate(ends))]


@dataclass(frozen=True, slots=True)
class GapController:
    """PI step-size control (Hairer, Norsett, Wanner, Solving ODEs I, II.4; Soderlind 2003) of the gap in steps.

    The error of a forecast of order O grows like gap^(O + 1); the exponents are the usual 0.7 / p and 0.4 / p.
    """

    tolerance: float
    max_gap: int
    order: int

    def next_gap(self, gap: float, error: float, previous_error: float) -> float:
        """The next gap after a gap whose forecast had the relative ``error``, and the one before ``previous_error``."""
        p = self.order + 1
        floor = 1e-3 * self.tolerance
        integral = (self.tolerance / max(error, floor)) ** (0.7 / p)
        proportional = (max(previous_error, floor) / self.tolerance) ** (0.4 / p)
        factor = min(2.0, max(0.3, integral * proportional))
        return min(float(self.max_gap), max(1.0, gap * factor))


def adaptive(settings: "Settings", steps: StepRange) -> Plan:
    """Compute the head and the last step; between them the gaps follow the measured error of each forecast."""
    head = frozenset(k for k in range(steps.first, steps.first + settings.warmup_steps) if k < steps.total)
    tail = frozenset(range(steps.total)[-1:])
    if settings.tolerance <= 0.0:
        return Plan(frozenset(range(steps.total)))
    return Plan(_outside(steps) | head | tail, GapController(settings.tolerance, settings.max_gap, settings.degree))


POLICIES: dict[str, Policy] = {"budget": budget, "interval": interval, "adaptive": adaptive}


def _outside(steps: StepRange) -> frozenset[int]:
    return frozenset(k for k in range(steps.total) if k not in steps)
