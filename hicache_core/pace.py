"""Compute or forecast: the decision at every step of one run, from the plan and the errors measured on the way."""

from .schedule import Plan


class Pace:
    """Follows a plan through one run. With a controller, each computed step sets when the next must come."""

    def __init__(self, plan: Plan, total: int) -> None:
        self._plan = plan
        self._open = frozenset(range(total)) - plan.computed
        self._last_open = max(self._open, default=-1)
        self._before, self._after = self._unknown, self._unknown  # the gaps planned before and after a computed step
        self._previous, self._current = -1, -1  # the last two computed steps
        self._worst: float | None = None
        self._next = 0

    @property
    def _unknown(self) -> tuple[float, float]:
        """The gap to plan, and the drift to expect of it, before any error is known."""
        controller = self._plan.controller
        return (controller.first_gap, controller.tolerance) if controller else (0.0, 0.0)

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
        if self._worst is not None:
            gap, drift_before = self._before
            drift = controller.drift_of(gap, self._previous, self._current, self._worst)
            self._after = controller.next_gap(gap, drift, drift_before), drift
        self._next = controller.reach(step, self._after[0])
