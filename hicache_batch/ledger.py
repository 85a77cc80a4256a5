"""Which rows wait, run, are done or have failed; who may try which."""

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from .rows import Row


@dataclass
class Attempt:
    """A row on its way: the workers that have failed with it, and why the last one did."""

    row: Row
    tries: int = 0
    failed_on: set[str] = field(default_factory=set)
    why: str = ""


class Ledger:
    """Of one batch, in one event loop. ``ended`` is set when every row is done or given up.

    tries: how often a row is tried, on another worker each time while one serves that has not tried it. A worker serves
    from its first ``take`` until it is retired.
    """

    def __init__(self, rows: Iterable[Row], tries: int) -> None:
        self._waiting = deque(Attempt(row) for row in rows)
        self._serving: set[str] = set()
        self._tries = tries
        self._open = 0
        self._changed = asyncio.Condition()
        self.ended = asyncio.Event()
        self._look()

    async def take(self, worker: str) -> Attempt | None:
        """The next row for this worker, as soon as there is one; None when the batch has ended."""
        async with self._changed:
            self._serving.add(worker)
            while not self.ended.is_set():
                attempt = self._next_for(worker)
                if attempt is not None:
                    self._waiting.remove(attempt)
                    self._open += 1
                    attempt.tries += 1
                    return attempt
                await self._changed.wait()
        return None

    def _next_for(self, worker: str) -> Attempt | None:
        return next((a for a in self._waiting if worker not in a.failed_on or not self._serving - a.failed_on), None)

    async def done(self) -> None:
        """A row that was taken is finished."""
        await self._close()

    async def failed(self, attempt: Attempt, worker: str, why: str) -> bool:
        """Whether the row is given up; otherwise it waits for another try."""
        attempt.failed_on.add(worker)
        attempt.why = why
        given_up = attempt.tries >= self._tries
        if not given_up:
            self._waiting.append(attempt)
        await self._close()
        return given_up

    async def retire(self, worker: str) -> None:
        """This worker takes no more rows, unless it asks again."""
        async with self._changed:
            self._serving.discard(worker)
            self._changed.notify_all()

    def left(self) -> Iterator[Attempt]:
        """Rows that nobody will try."""
        while self._waiting:
            yield self._waiting.popleft()

    async def _close(self) -> None:
        async with self._changed:
            self._open -= 1
            self._look()
            self._changed.notify_all()

    def _look(self) -> None:
        if not self._waiting and not self._open:
            self.ended.set()
