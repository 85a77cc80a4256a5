"""Which steps are computed and which may be forecast.

A policy turns settings and a range of steps into a ``Plan``. Steps outside the range are always computed.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .cheapest import cheapest

FEWEST = 4  # computed steps of a budget: with two or three, forecasts are little nearer than as many steps
SHORT = 10  # steps of a run in which forecasts win only if half of it or less is computed (docs/schedule.md)
GROWTH = 1.4  # of a gap from one to the next, at most
EXPECTED = 0.12  # drift of a gap divided by its square in the density, before any is known (docs/schedule.md)

if TYPE_CHECKING:  # settings.py imports this module for POLICIES
    from .settings import Settings


@dataclass(frozen=True, slots=True)
class StepRange:
    """Steps ``first`` <= k < ``stop`` of ``total`` may be forecast; the others are computed.

    density  by step, how much it matters (density.py); empty: all the same
    moves    by step, how far it moves the latent; empty: all the same
    """

    total: int
    first: int
    stop: int
    density: tuple[float, ...] = ()
    moves: tuple[float, ...] = ()

    def __contains__(self, step: int) -> bool:
        return self.first <= step < self.stop


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps to compute; with ``controller`` only those known beforehand, the others follow the measured errors."""

    computed: frozenset[int]
    controller: "GapController | None" = None
    message: str = ""  # what the plan could not do, for the report


@dataclass(frozen=True, slots=True)
class Policy:
    """A way to choose the computed steps.

    plan   from settings and a range of steps
    mode   its name for the artist
    about  one line for the artist, after "name: "
    """

    plan: Callable[["Settings", StepRange], Plan]
    mode: str
    about: str

    def __call__(self, settings: "Settings", steps: StepRange) -> Plan:
        plan = self.plan(settings, steps)
        if plan.message or settings.asks_for_every_step or not steps.total or len(plan.computed) < steps.total:
            return plan
        return replace(plan, message=f"warm-up, range and schedule leave none of the {steps.total} steps to forecast")


def interval(settings: "Settings", steps: StepRange) -> Plan:
    """The paper's schedule: warm-up, then one computed step in ``interval``, with no forced last step.

    With 50 steps, warm-up 3 and N = 3, 4, 5, 6, 7, 8, 10 it computes 18, 14, 12, 10, 9, 8, 7 steps.
    """
    head = range(min(settings.warmup_steps, steps.total))
    rest = range(settings.warmup_steps - 1, steps.total, settings.interval)
    return Plan(_outside(steps) | frozenset(head) | frozenset(rest))


def budget(settings: "Settings", steps: StepRange) -> Plan:
    """As many computed steps as ``speed`` allows, where they spare the forecasts most (cheapest.py).

    Never fewer than FEWEST, or than the warm-up and one more: where that is too many for the speed, the plan says so.
    Steps computed before the range count as warm-up. A SHORT run is computed whole unless half of it is enough.
    """
    wanted = max(1, round(steps.total / settings.speed))
    if wanted < steps.total <= SHORT and 2 * max(wanted, FEWEST) > steps.total:
        return Plan(frozenset(range(steps.total)), message=_too_short(settings, steps))
    start = min(steps.stop, max(steps.first, settings.warmup_steps))
    fixed = _outside(steps) | frozenset(range(steps.first, start))
    least = len(fixed) + (start < steps.stop)
    chosen = frozenset(cheapest(_density(steps), max(wanted, FEWEST, least), fixed))
    if len(chosen) <= wanted:
        return Plan(chosen)
    if len(chosen) <= FEWEST:
        return Plan(
            chosen, message=_out_of_reach(settings, steps, len(chosen), "with fewer the picture changes too much")
        )
    advice = "lower warmup_steps, or widen start_percent and end_percent"
    return Plan(chosen, message=_out_of_reach(settings, steps, len(chosen), advice))


def _out_of_reach(settings: "Settings", steps: StepRange, calls: int, why: str) -> str:
    return f"speed {settings.speed:g} is out of reach: {calls} of {steps.total} steps must be computed; {why}"


def _too_short(settings: "Settings", steps: StepRange) -> str:
    """What is gained by a higher speed, if anything is."""
    half = steps.total // 2
    hint = f", but from speed {steps.total / half:.2g} on {half} are enough" if half >= FEWEST else ""
    return _out_of_reach(settings, steps, steps.total, f"forecasts gain nothing in so short a run{hint}")


@dataclass(frozen=True, slots=True)
class GapController:
    """PI step-size control (Hairer, Norsett, Wanner, Solving ODEs I, II.4; Soderlind 2003) of the gap.

    A gap is measured in the density of its steps, where errors of a forecast of order O grow like gap^(O + 1) all along
    the run; the exponents are the usual 0.7 / p and 0.4 / p. max_gap: in steps. density, moves: by step.
    The first gap can only reuse: its drift, which moves along the gap too, grows like gap^2.
    """

    tolerance: float
    max_gap: int
    order: int
    density: tuple[float, ...]
    moves: tuple[float, ...]

    @property
    def first_gap(self) -> float:
        """The gap to try before any drift is known."""
        return math.sqrt(self.tolerance / EXPECTED)

    def next_gap(self, gap: float, drift: float, drift_before: float) -> float:
        """The gap to plan after one that would have led this far off, and after the one before it."""
        p = self.order + 1
        factor = self._in_tolerances(drift) ** (-0.7 / p) * self._in_tolerances(drift_before) ** (0.4 / p)
        return gap * min(GROWTH, max(1.0 / GROWTH, factor))

    def drift_of(self, gap: float, step: int, other: int, error: float) -> float:
        """How far a planned gap would lead the picture off, judged by the one between two computed steps."""
        length = self.length(step, other)
        return self.drift(step, other, error) * (gap / length) ** (self.order + 1) if length > 0.0 else 0.0

    def _in_tolerances(self, error: float) -> float:
        """Never so small or large that a power of it is no number, however small the tolerance is."""
        return min(1e30, max(1e-3, error / self.tolerance))

    def length(self, step: int, other: int) -> float:
        """The gap between two computed steps."""
        return sum(self.density[step + 1 : other + 1])

    def drift(self, step: int, other: int, error: float) -> float:
        """What a relative error of the forecast at its end makes of a gap: how far it may have led the latent off."""
        return error * sum(self.moves[step:other])

    def reach(self, step: int, gap: float) -> int:
        """The step to compute after ``step``: the last one within the gap, but the next one at least."""
        filled = itertools.accumulate(self.density[step + 1 : step + 1 + self.max_gap])
        return step + max(1, sum(total <= gap * (1.0 + 1e-9) for total in filled))


def adaptive(settings: "Settings", steps: StepRange) -> Plan:
    """Compute the head; after it the gaps follow the measured error of each forecast."""
    head = frozenset(range(steps.first, min(steps.total, steps.first + settings.warmup_steps)))
    if settings.tolerance <= 0.0:
        return Plan(frozenset(range(steps.total)))
    controller = GapController(settings.tolerance, settings.max_gap, settings.degree, _density(steps), _moves(steps))
    return Plan(_outside(steps) | head, controller)


def listed(settings: "Settings", steps: StepRange) -> Plan:
    """The steps of ``settings.steps``, and the warm-up; a run that is too short for some of them says so."""
    wanted = frozenset(settings.steps) | frozenset(range(min(settings.warmup_steps, steps.total)))
    missing = sorted(k for k in settings.steps if k >= steps.total)
    message = f"steps {', '.join(map(str, missing))} are listed, but the run has only {steps.total} steps"
    return Plan(_outside(steps) | frozenset(k for k in wanted if k < steps.total), message=message if missing else "")


POLICIES: dict[str, Policy] = {
    "budget": Policy(
        budget,
        "target speed",
        "computes one step in 'speed', most of them at the beginning, where the picture is decided",
    ),
    "interval": Policy(interval, "even intervals", "after the warm-up, computes every n-th step, n = 'speed' rounded"),
    "adaptive": Policy(
        adaptive,
        "adaptive",
        "spaces the computed steps so that the forecasts between two of them err by about 'tolerance'",
    ),
    "listed": Policy(listed, "listed steps", "computes the steps written in HiCache Settings"),
}


def _outside(steps: StepRange) -> frozenset[int]:
    return frozenset(k for k in range(steps.total) if k not in steps)


def _density(steps: StepRange) -> tuple[float, ...]:
    return steps.density or (1.0,) * steps.total


def _moves(steps: StepRange) -> tuple[float, ...]:
    return steps.moves or (1.0,) * steps.total
