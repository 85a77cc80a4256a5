"""What the wrappers of one sampling run share, through that run's own transformer options."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ._core import Session
from .patch import KEY
from .shortage import spared

SEVERAL = "a node asks for several directions at one noise level, so the drift of forecasts is not corrected"


@dataclass(frozen=True, slots=True)
class Asked:
    """The first evaluation of a direction: where it was, what was active, and the denoised images of that."""

    position: float
    sigma: float
    conditions: Hashable
    images: list[Tensor]


@dataclass(slots=True)
class Run:
    """The session of a run and the level it works at.

    level  an OutputLevel or a BlockLevel
    mask   True where the latent is sampled, as large as the latent; None: everywhere
    shift  what the corrector added to the denoised image of the last evaluation
    announced  bytes that the host is asked to leave free
    asked  the first evaluation since the sampler last asked for a direction
    directions  how often the sampler may ask for one at one noise level
    """

    session: Session
    level: Any
    directions: int = 1
    asked: Asked | None = None
    _asked_here: tuple[float, int] = (0.0, 0)
    mask: Tensor | None = None
    shift: Tensor | None = None
    announced: int = 0

    def may_correct(self, asked: Asked) -> bool:
        """Whether this direction continues the last ones. Tiles and several prompts, which a node asks for one after
        the other at one noise level, cannot be told apart: then nothing is corrected in this run."""
        sigma, times = self._asked_here
        self._asked_here = (asked.sigma, times + 1 if asked.sigma == sigma else 1)
        if self._asked_here[1] > self.directions:
            self.session.stop_correcting(SEVERAL)
        return self._asked_here[1] <= self.directions

    def direction(self, x: Tensor, denoised: Tensor, sigma: float) -> Tensor:
        """(x - denoised) / sigma, 0 where the latent is not sampled."""
        return self.sampled((x - denoised).div_(sigma))

    def sampled(self, ours: Tensor) -> Tensor:
        """The same tensor, made 0 where the latent is not sampled."""
        return ours if self.mask is None else ours.mul_(self.mask)

    def preview(self, callback: Callable[..., Any] | None) -> Callable[..., Any] | None:
        """The step callback, shown the denoised image as it was before the corrector."""
        if callback is None:
            return None
        return lambda step, x0, *rest: callback(step, self._shown(x0), *rest)

    def _shown(self, x0: Tensor) -> Tensor:
        if self.shift is not None:
            with spared(self):
                return x0 - self.shift
        return x0


def run_of(model_options: dict[str, Any]) -> Run | None:
    """The run that is going on, None where these model options are not from one."""
    return model_options.get("transformer_options", {}).get(KEY)
