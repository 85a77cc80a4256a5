"""What the user chose: frozen, validated on construction, shared freely between runs and threads."""

import hashlib
from collections.abc import Collection
from dataclasses import astuple, dataclass
from typing import cast

from .basis import BASES, MAX_ORDER
from .schedule import POLICIES

# Where forecasts are made, from the network's output to every attention and MLP inside it (docs/levels.md).
LEVELS = ("output", "stack", "block", "module")

# Where what is stored is kept: on the device of the model if it fits, or always one or the other (docs/levels.md).
CACHE_DEVICES = ("auto", "gpu", "cpu")

MOST_STEPS = 10_000  # as in the host's samplers

# Lowest and highest value of every numeric setting; whole numbers where both ends are.
RANGES: dict[str, tuple[float, float]] = {
    "speed": (1.0, 10.0),
    "interval": (1, 20),
    "tolerance": (0.0, 1.0),
    "max_gap": (1, 50),
    "warmup_steps": (1, 50),
    "order": (0, MAX_ORDER),
    "contraction": (0.0, 1.0),
    "start_percent": (0.0, 1.0),
    "end_percent": (0.0, 1.0),
    "explosion_limit": (1.0, 1000.0),
    "signal_floor": (0.0, 10.0),
}


LONGEST = 80  # characters of a value in a message
HOW = "write whole numbers and ranges, such as 0, 4, 8-10."


class SettingsError(ValueError):
    """A setting outside its range; the message names the setting, the value and what is allowed."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a sampling run needs to know. Units: positions and gaps in sampler steps, percentages from 0 to 1.

    schedule        which policy of ``POLICIES`` says where the network is computed
    speed           budget: evaluations divided by computed evaluations
    interval        interval: one step in this many is computed (N in the paper)
    tolerance       adaptive: how far the forecasts of one gap may lead the latent off, relative to its size
    max_gap         adaptive: never more than this many steps from one computed step to the next
    steps           listed: the steps to compute, counted from 0
    warmup_steps    computed steps before the first forecast (first_enhance in the paper)
    level           which of ``LEVELS`` the forecasts are made at
    basis           which weights of ``BASES`` the forecast uses
    order           highest difference used (O in the paper)
    contraction     argument scale c of hermite and dual_taylor (sigma in the paper)
    start_percent   share of the sampling before which every step is computed
    end_percent     share of the sampling after which every step is computed
    explosion_limit a forecast that could exceed this many times the newest anchor is refused
    corrector       undo the drift of forecasts at the next computed step, with samplers that allow it
    stabilizer      forecasts keep as much of a trend as the last one was borne out, none of it where noise is added;
                    the corrector undoes less, the more of the direction changed over the gap
    cache_device    which of ``CACHE_DEVICES`` keeps the anchors: gpu is the device that the model runs on
    signal_floor    budget and adaptive: the share of signal at which the coarse structure is decided. Small values
                    compute more of the early steps, large ones more of the late ones; 0 follows the latent's size
    """

    schedule: str = "budget"
    speed: float = 2.5
    interval: int = 3
    tolerance: float = 0.003
    max_gap: int = 12
    steps: tuple[int, ...] = ()
    warmup_steps: int = 1
    level: str = "output"
    basis: str = "hermite"
    order: int = 1
    contraction: float = 0.7
    start_percent: float = 0.0
    end_percent: float = 1.0
    explosion_limit: float = 50.0
    corrector: bool = True
    stabilizer: bool = True
    cache_device: str = "auto"
    signal_floor: float = 0.0

    @property
    def anchors(self) -> int:
        """How many anchors a history holds."""
        return BASES[self.basis].anchors(self.order)

    @property
    def degree(self) -> int:
        """The order that the basis really uses."""
        return min(self.order, self.anchors - 1)

    @property
    def fingerprint(self) -> str:
        """Equal for equal settings, also in another process: whole numbers written with a point are the same."""
        values = tuple(float(v) if isinstance(v, int) and not isinstance(v, bool) else v for v in astuple(self))
        return hashlib.sha256(repr(values).encode()).hexdigest()[:16]

    @property
    def asks_for_every_step(self) -> bool:
        """Whether nothing is to be forecast."""
        return (self.schedule, self.speed) == ("budget", 1.0) or (self.schedule, self.interval) == ("interval", 1)

    def __post_init__(self) -> None:
        _one_of("schedule", self.schedule, POLICIES)
        _one_of("level", self.level, LEVELS)
        _one_of("basis", self.basis, BASES)
        _one_of("cache_device", self.cache_device, CACHE_DEVICES)
        for name, (low, high) in RANGES.items():
            _within(name, getattr(self, name), low, high)
        _step_list(self.steps, needed=self.schedule == "listed")
        _switch("corrector", self.corrector)
        _switch("stabilizer", self.stabilizer)
        if self.start_percent > self.end_percent:
            raise SettingsError(
                f"start_percent is {self.start_percent} and end_percent is {self.end_percent}: "
                "start_percent must not be larger."
            )


def _one_of(name: str, value: object, allowed: Collection[str]) -> None:
    if not isinstance(value, str) or value not in allowed:
        raise SettingsError(f"{name} is {shown(value)}: choose one of {', '.join(allowed)}.")


def _step_list(steps: object, needed: bool) -> None:
    numbers = cast("tuple[object, ...]", steps) if isinstance(steps, tuple) else (None,)
    if not all(isinstance(k, int) and not isinstance(k, bool) and k >= 0 for k in numbers):
        raise SettingsError(
            f"steps is {shown(cast(object, steps))}: it must be a tuple of whole numbers, 0 for the first step."
        )
    if needed and not steps:
        raise SettingsError("steps is empty: list the steps to compute, such as 0, 4, 8-10.")


def _switch(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise SettingsError(f"{name} is {shown(value)}: it must be True or False.")


def parse_steps(text: object) -> tuple[int, ...]:
    """Steps written as "0, 4, 8-10", in order and without repeats. Raises SettingsError if it is something else."""
    if not isinstance(text, str):
        raise SettingsError(f"steps is {shown(text)}: {HOW}")
    found = bytearray(MOST_STEPS)  # a text full of long ranges is soon read
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        first, last = _ends(part)
        found[first : last + 1] = b"\1" * (last + 1 - first)
    return tuple(step for step, listed in enumerate(found) if listed)


def _ends(part: str) -> tuple[int, int]:
    first, dash, last = (piece.strip() for piece in part.partition("-"))
    last = last if dash else first
    if not (first.isdecimal() and last.isdecimal()):
        raise SettingsError(f"steps has {shown(part)} in it: {HOW}")
    if max(len(first), len(last)) > 9 or int(last) >= MOST_STEPS:  # int() reads no number of thousands of digits
        raise SettingsError(f"steps has {shown(part)} in it: the highest step is {MOST_STEPS - 1}.")
    if int(last) < int(first):
        raise SettingsError(f"steps has {shown(part)} in it: {HOW}")
    return int(first), int(last)


def shown(value: object) -> str:
    """A value for a message: short, in one line, whatever it is."""
    try:
        text = repr(value)
    except Exception:  # Python writes no number of more than 4300 digits
        text = f"a {type(value).__name__} that is too long to show"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _within(name: str, value: object, low: float, high: float) -> None:
    whole = isinstance(low, int)
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        raise SettingsError(f"{name} is {shown(value)}: it must be a {'whole ' * whole}number from {low} to {high}.")
    if not low <= value <= high:  # nor is nan
        raise SettingsError(f"{name} is {shown(value)}: it must be from {low} to {high}.")
