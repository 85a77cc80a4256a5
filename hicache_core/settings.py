"""What the user chose: frozen, validated on construction, shared freely between runs and threads."""

import math
from collections.abc import Collection
from dataclasses import dataclass

from .basis import BASES, MAX_ORDER
from .schedule import POLICIES

# Where forecasts are made, from the network's output to every attention and MLP inside it (docs/levels.md).
LEVELS = ("output", "stack", "block", "module")

# Lowest and highest value of every numeric setting; whole numbers where both ends are.
RANGES: dict[str, tuple[float, float]] = {
    "speed": (1.0, 10.0),
    "growth": (0.8, 2.0),
    "interval": (1, 20),
    "tolerance": (0.0, 1.0),
    "max_gap": (1, 50),
    "warmup_steps": (1, 50),
    "order": (0, MAX_ORDER),
    "contraction": (0.0, 1.0),
    "start_percent": (0.0, 1.0),
    "end_percent": (0.0, 1.0),
    "explosion_limit": (1.0, 1000.0),
}


class SettingsError(ValueError):
    """A setting outside its range; the message names the setting, the value and what is allowed."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a sampling run needs to know. Units: positions and gaps in sampler steps, percentages from 0 to 1.

    schedule        which policy of ``POLICIES`` says where the network is computed
    speed           budget: evaluations divided by computed evaluations
    growth          budget: each gap between computed steps is about this many times the one before
    interval        interval: one step in this many is computed (N in the paper)
    tolerance       adaptive: relative error that a forecast may have when the network is computed again
    max_gap         adaptive: never more than this many steps from one computed step to the next
    warmup_steps    computed steps before the first forecast (first_enhance in the paper)
    level           which of ``LEVELS`` the forecasts are made at
    basis           which weights of ``BASES`` the forecast uses
    order           highest difference used (O in the paper)
    contraction     argument scale c of hermite and dual_taylor (sigma in the paper)
    start_percent   share of the sampling before which every step is computed
    end_percent     share of the sampling after which every step is computed
    explosion_limit a forecast that could exceed this many times the newest anchor is refused
    corrector       undo the drift of forecasts at the next computed step, with samplers that allow it
    stabilizer      forecasts keep as much of a trend as the last one was borne out, with samplers that add no noise
    """

    schedule: str = "budget"
    speed: float = 2.5
    growth: float = 1.0
    interval: int = 3
    tolerance: float = 0.05
    max_gap: int = 8
    warmup_steps: int = 3
    level: str = "output"
    basis: str = "hermite"
    order: int = 2
    contraction: float = 0.7
    start_percent: float = 0.0
    end_percent: float = 1.0
    explosion_limit: float = 50.0
    corrector: bool = True
    stabilizer: bool = True

    @property
    def degree(self) -> int:
        """The order that the basis really uses."""
        return 0 if self.basis == "reuse" else self.order

    def __post_init__(self) -> None:
        _one_of("schedule", self.schedule, POLICIES)
        _one_of("level", self.level, LEVELS)
        _one_of("basis", self.basis, BASES)
        for name, (low, high) in RANGES.items():
            _within(name, getattr(self, name), low, high)
        _switch("corrector", self.corrector)
        _switch("stabilizer", self.stabilizer)
        if self.start_percent > self.end_percent:
            raise SettingsError(
                f"start_percent is {self.start_percent} and end_percent is {self.end_percent}: "
                "start_percent must not be larger."
            )


def _one_of(name: str, value: str, allowed: Collection[str]) -> None:
    if value not in allowed:
        raise SettingsError(f"{name} is {value!r}: choose one of {', '.join(allowed)}.")


def _switch(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise SettingsError(f"{name} is {value!r}: it must be True or False.")


def _within(name: str, value: object, low: float, high: float) -> None:
    whole = isinstance(low, int)
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        raise SettingsError(f"{name} is {value!r}: it must be a {'whole ' * whole}number from {low} to {high}.")
    if not (math.isfinite(value) and low <= value <= high):
        raise SettingsError(f"{name} is {value}: it must be from {low} to {high}.")
