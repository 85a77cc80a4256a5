"""Compute or forecast: the decision at every step of one run, from the plan and the errors measured on the way."""

import math
from dataclasses import dataclass

from .schedule import Plan


@dataclass(frozen=True, slots=True)
class _Gap:
    """The gap planned after a computed step, in steps and not rounded, and the error that led to it."""

    length: float
    error: float


class Pace:
    """Follows a plan through one run. With a controller, each computed step sets when the next must come."""

    def __init__(self, plan: Plan, total: int) -> None:
        self._plan = plan
        self._open = frozenset(range(total)) - plan.computed
        self._last_open = max(self._open, default=-1)
        tolerance = plan.controller.tolerance if plan.controller else 0.0
        self._before = self._after = _Gap(1.0, tolerance)
        self._previous, self._current = -1, -1  # the last two computed steps
        self._worst: float | None = None
        self._next = 0

    def must_compute(self, step: int) -> bool:
        return step not in self._open or (self._plan.controller is not None and step >= self._next)

    def may_forecast_after(self, step: int) -> bool:
        """Whether an anchor computed at ``step`` can still serve a forecast."""
        return step < self._last_open

    def computed(self, step: int, error: float | None) -> None:
        """Note that ``step`` was computed and the relative error a forecast would have had, None if unknown.

        Of several evaluations in one step the worst counts.
        """
        if self._plan.controller is None:
            return
        if step != self._current:
            self._previous, self._current = self._current, step
            self._before, self._worst = self._after, None
        if error is not None:
            self._worst = max(error, self._worst or 0.0)
        if self._worst is not None:
            elapsed = float(step - self._previous)
            gap = self._before.length if math.floor(self._before.length) == elapsed else elapsed
            length = self._plan.controller.next_gap(gap, self._worst, self._before.error)
            self._after = _Gap(length, self._worst)
        self._next = step + (1 if self._worst is None else math.floor(self._after.length))
