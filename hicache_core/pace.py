"""Compute or forecast: the decision at every step of one run, from the plan and the errors measured on the way."""

from dataclasses import dataclass

from .schedule import GapController, Plan


@dataclass(frozen=True, slots=True)
class _Gap:
    """The gap planned after a computed step, in the controller's density, and the drift that led to it."""

    length: float
    drift: float


class Pace:
    """Follows a plan through one run. With a controller, each computed step sets when the next must come."""

    def __init__(self, plan: Plan, total: int) -> None:
        self._plan = plan
        self._open = frozenset(range(total)) - plan.computed
        self._last_open = max(self._open, default=-1)
        tolerance = plan.controller.tolerance if plan.controller else 0.0
        self._before = self._after = _Gap(0.0, tolerance)
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
        controller = self._plan.controller
        if controller is None:
            return
        if step != self._current:
            self._previous, self._current = self._current, step
            self._before, self._worst = self._after, None
        if error is not None:
            self._worst = max(error, self._worst or 0.0)
        self._after = self._first(controller) if self._worst is None else self._following(controller, self._worst)
        self._next = controller.reach(step, self._after.length)

    def _first(self, controller: GapController) -> _Gap:
        """The gap after a step that nothing could be forecast for."""
        return _Gap(controller.first_gap, controller.tolerance)

    def _following(self, controller: GapController, error: float) -> _Gap:
        """The gap after a step for which the forecast would have had this relative error."""
        drift = controller.drift(self._previous, self._current, error)
        if self._current not in self._open and drift <= controller.tolerance:
            return self._before  # computed whatever its gap: that says nothing against the gap that was planned
        gap = controller.length(self._previous, self._current)
        if controller.reach(self._previous, self._before.length) == self._current:  # the planned gap ended within it
            gap = min(max(gap, self._before.length), controller.length(self._previous, self._current + 1))
        return _Gap(controller.next_gap(gap, drift, self._before.drift), drift)
