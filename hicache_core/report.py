"""What a run did: plain numbers, no tensors."""

from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Literal

Action = Literal["computed", "forecast", "refused"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One time the sampler asked for the model's output.

    step      sampler step it belongs to
    position  continuous step position; a whole number unless the sampler evaluates between steps
    sigma     noise level
    action    computed by the network; forecast without it; refused: planned as forecast, computed for ``reason``
    seconds   wall clock until the sampler asked again or ended
    error     relative RMS error that a forecast would have had at this computed evaluation, where it was measured
    reason    why a planned forecast was refused, else empty
    corrected whether this computed step also undid the drift of the forecasts before it
    """

    step: int
    position: float
    sigma: float
    action: Action
    seconds: float
    error: float | None = None
    reason: str = ""
    corrected: bool = False


@dataclass(frozen=True, slots=True)
class RunReport:
    """One sampling run.

    bytes_held       the largest size of everything stored together: anchors, and what corrector and stabilizer keep
    bytes_announced  what the host was told before the run to leave free on the device of the model
    device           where the anchors were; empty if there were none
    signal_floor     the signal at which the schedule took structure to be decided (density.py)
    """

    evaluations: tuple[Evaluation, ...]
    bytes_held: int
    messages: tuple[str, ...]
    bytes_announced: int = 0
    device: str = ""
    signal_floor: float = 0.0

    @property
    def calls(self) -> int:
        """Evaluations that ran the network."""
        return sum(e.action != "forecast" for e in self.evaluations)

    @property
    def forecasts(self) -> int:
        return len(self.evaluations) - self.calls

    @property
    def seconds(self) -> float:
        return sum(e.seconds for e in self.evaluations)

    @property
    def speedup_calls(self) -> float:
        """Evaluations of the full run divided by computed evaluations."""
        return len(self.evaluations) / self.calls if self.calls else 1.0

    @property
    def speedup_seconds(self) -> float:
        """Seconds if every evaluation took as long as the median computed one, divided by the seconds taken.

        An estimate: only a run without the cache measures it.
        """
        computed = [e.seconds for e in self.evaluations if e.action != "forecast"]
        if not computed or self.seconds <= 0.0:
            return 1.0
        return median(computed) * len(self.evaluations) / self.seconds

    @property
    def seconds_saved(self) -> float:
        """By the same estimate; negative if the run took longer than a full one."""
        return self.seconds * (self.speedup_seconds - 1.0)

    def summary(self) -> str:
        """One line for a log."""
        if not self.evaluations:
            return "no evaluation"
        return (
            f"{self.calls} of {len(self.evaluations)} evaluations computed ({self.speedup_calls:.2f}x fewer calls, "
            f"about {self.speedup_seconds:.2f}x faster), {self.bytes_held / 2**20:.1f} MiB held"
            f"{self.device and f' on {self.device}'}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"evaluations": [asdict(e) for e in self.evaluations], **self.totals()}

    def totals(self) -> dict[str, Any]:
        """The same without the evaluations."""
        return {
            "calls": self.calls,
            "forecasts": self.forecasts,
            "seconds": self.seconds,
            "seconds_saved": self.seconds_saved,
            "speedup_calls": self.speedup_calls,
            "speedup_seconds": self.speedup_seconds,
            "bytes_held": self.bytes_held,
            "bytes_announced": self.bytes_announced,
            "device": self.device,
            "signal_floor": self.signal_floor,
            "messages": list(self.messages),
        }
