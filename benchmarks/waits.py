"""How long an event loop waits for others."""

import selectors
import time


class IdleClock(selectors.DefaultSelector):
    """The selector of an event loop that knows how long the loop has waited in it."""

    idle = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        started = time.perf_counter()
        found = super().select(timeout)
        self.idle += time.perf_counter() - started
        return found
