"""The guided directions of a run: what they tell of the path, and how forecasts are made up for in them."""

import math
from collections.abc import Sequence

from torch import Tensor

from .corrector import DriftCorrector
from .guidance import Guidance, GuidanceWatch
from .linear_sampler import LinearSampler
from .trust import Trend, TrendTrust


class GuidedDirections:
    """Corrector and stabilizer, over the directions that one caller was given.

    sampler  what it makes of what it is handed; None: it is not corrected
    trusts   whether trends are followed as far as the last one came true; else they are followed ``untold``
    """

    def __init__(self, sigmas: Sequence[float], sampler: LinearSampler | None, trusts: bool, untold: Trend) -> None:
        self._corrector = DriftCorrector(sigmas, sampler) if sampler is not None else None
        self._trust = TrendTrust() if trusts else None
        self._untold = untold
        self._guidance = GuidanceWatch()

    def __bool__(self) -> bool:
        """Whether they are of any use."""
        return self._corrector is not None or self._trust is not None

    @property
    def corrects(self) -> bool:
        return self._corrector is not None

    @property
    def pending(self) -> bool:
        """Whether there is something to make up for."""
        return self._corrector is not None and self._corrector.pending

    @property
    def trend(self) -> Trend:
        return self._trust.trend if self._trust is not None else self._untold

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return tuple(t for tool in (self._corrector, self._trust) if tool is not None for t in tool.tensors)

    @property
    def most_held(self) -> int:
        """How many tensors they hold at most. Corrector and stabilizer share the newest direction."""
        both = self._corrector is not None and self._trust is not None
        return (self._corrector.most_held if self._corrector else 0) + 2 * (self._trust is not None) - both

    def follow(self, position: float, x: Tensor, denoised: Tensor, sigma: float, guidance: Guidance) -> Tensor | None:
        """Note where the sampler goes with a forecast; what to add to the denoised image, None for nothing."""
        self._guidance.see(position, guidance)
        if self._corrector is None:
            return None
        return self._corrector.forecast(math.floor(position), x, denoised, sigma)

    def correct(self, position: float, direction: Tensor, guidance: Guidance) -> Tensor | None:
        """Take in a computed direction, which becomes theirs; what to add to the denoised image, None for nothing."""
        self._guidance.see(position, guidance)
        if not self._guidance.was_steady():
            for tool in (self._corrector, self._trust):
                if tool is not None:
                    tool.forget_gap()
        self._guidance.restart()
        if self._trust is not None:
            self._trust.computed(position, direction)
        if self._corrector is None:
            return None
        return self._corrector.computed(math.floor(position), direction, self.trend)
