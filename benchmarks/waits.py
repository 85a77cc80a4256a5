"""How long an event loop waits for others, and a file for the disk."""

import os
import selectors
import time
from statistics import median
from tempfile import TemporaryFile


class IdleClock(selectors.DefaultSelector):
    """The selector of an event loop that knows how long the loop has waited in it."""

    idle = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        started = time.perf_counter()
        found = super().select(timeout)
        self.idle += time.perf_counter() - started
        return found


def fsync_milliseconds(size: int) -> float:
    """The median of a few, where the pictures go."""
    seconds = []
    for _ in range(25):
        with TemporaryFile() as file:
            file.write(os.urandom(size))
            file.flush()
            started = time.perf_counter()
            os.fsync(file.fileno())
            seconds.append(time.perf_counter() - started)
    return 1e3 * median(seconds)
