"""Compute or forecast: the decision at every step of one run, from the plan and the errors measured on the way."""

import math

from .schedule import Plan


class Pace:
    """Follows a plan through one run. With a controller, each computed step sets when the next must come."""

    def __init__(self, plan: Plan, total: int) -> None:
        self._plan = plan
        self._last_open = max((k for k in range(total) if k not in plan.computed), default=-1)
        self._gap = 1.0
        self._error: float | None = None
        self._previous: int = -1
        self._next = 0

    def must_compute(self, step: int) -> bool:
        return step in self._plan.computed or (self._plan.controller is not None and step >= self._next)

    def may_forecast_after(self, step: int) -> bool:
        """Whether an anchor computed at ``step`` can still serve a forecast."""
        return step < self._last_open

    def computed(self, step: int, error: float | None) -> None:
        """Note that ``step`` was computed and the relative error a forecast would have had, None if unknown."""
        if self._plan.controller is None or step == self._previous:
            return
        if error is not None:
            gap = min(self._gap, step - self._previous + 1.0)  # what the error was measured over, before rounding
            self._gap = self._plan.controller.next_gap(gap, error, self._error or error)
            self._error = error
        self._previous = step
        self._next = step + (1 if error is None else math.floor(self._gap))
