"""The evaluations of one run as they happen, with their wall-clock seconds."""

import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from .report import Action, Evaluation


class Timeline:
    """Evaluations in order; the last one stays open until the next begins, so its seconds include the sampler's.

    listener  told of every evaluation as it closes
    clock     seconds; replaced in tests
    """

    def __init__(
        self, listener: Callable[[Evaluation], None] | None = None, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._listener = listener
        self._clock = clock
        self._closed: list[Evaluation] = []
        self._open: Evaluation | None = None
        self._started = 0.0

    def begin(self, step: int, position: float, sigma: float) -> None:
        """Open an evaluation, computed unless ``mark`` says otherwise."""
        self.close()
        self._open = Evaluation(step, position, sigma, action="computed", seconds=0.0)
        self._started = self._clock()

    def mark(self, action: Action, reason: str = "") -> None:
        assert self._open is not None
        self._open = replace(self._open, action=action, reason=reason)

    def mark_error(self, error: float | None) -> None:
        assert self._open is not None
        self._open = replace(self._open, error=error if error is None or math.isfinite(error) else None)

    def mark_corrected(self) -> None:
        assert self._open is not None
        self._open = replace(self._open, corrected=True)

    @property
    def refusals(self) -> list[str]:
        """How many planned forecasts were computed, a sentence for every reason."""
        refused = Counter(e.reason for e in self._closed if e.action == "refused")
        return [f"{count} planned forecasts were computed instead: {why}" for why, count in refused.items()]

    def close(self) -> tuple[Evaluation, ...]:
        """Close the open evaluation, if any, and return all of them."""
        if self._open is not None:
            closed = replace(self._open, seconds=self._clock() - self._started)
            self._open = None
            self._closed.append(closed)
            if self._listener is not None:
                self._listener(closed)
        return tuple(self._closed)
