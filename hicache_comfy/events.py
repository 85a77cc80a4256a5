"""What is told of a run while it goes on: on the sampler's thread, and never to the cost of the picture."""

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from ._core import Evaluation, Plan, RunReport

log = logging.getLogger("hicache")


@dataclass(frozen=True)
class Started:
    """A run of ``total`` steps on a latent of this shape begins, and this is what it means to do."""

    run: str
    total: int
    plan: Plan
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Evaluated:
    """An evaluation is over."""

    run: str
    evaluation: Evaluation


@dataclass(frozen=True)
class Ended:
    """The run is over. finished: whether the sampler came to its end, and did not fail or was interrupted."""

    run: str
    report: RunReport
    finished: bool


Event = Started | Evaluated | Ended


@dataclass
class Teller:
    """Tells a listener of one run, until it fails for the first time; the log then says so."""

    listener: Callable[[Event], None] | None
    run: str = field(default_factory=lambda: uuid.uuid4().hex)

    def started(self, total: int, plan: Plan, shape: tuple[int, ...]) -> None:
        self._tell(Started(self.run, total, plan, shape))

    def evaluated(self, evaluation: Evaluation) -> None:
        self._tell(Evaluated(self.run, evaluation))

    def ended(self, report: RunReport, finished: bool) -> None:
        self._tell(Ended(self.run, report, finished))

    def _tell(self, event: Event) -> None:
        if self.listener is not None and not safely("on_event", self.listener, event):
            self.listener = None


def safely(name: str, listener: Callable[..., None], *args: object) -> bool:
    """Whether the listener did not fail; if it did, the log says so."""
    try:
        listener(*args)
    except Exception:
        log.exception("HiCache: %s failed; the picture is not affected.", name)
        return False
    return True
