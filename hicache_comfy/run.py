"""What the wrappers of one sampling run share, through that run's own transformer options."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ._core import Session
from .patch import KEY
from .shortage import spared


@dataclass(slots=True)
class Run:
    """The session of a run and the level it works at.

    level  an OutputLevel or a BlockLevel
    mask   True where the latent is sampled, as large as the latent; None: everywhere
    shift  what the corrector took off the denoised image of the last evaluation
    announced  bytes that the host is asked to leave free
    """

    session: Session
    level: Any
    mask: Tensor | None = None
    shift: Tensor | None = None
    announced: int = 0

    def direction(self, x: Tensor, denoised: Tensor) -> Tensor:
        """(x - denoised) / sigma, 0 where the latent is not sampled."""
        return self.sampled((x - denoised).div_(self.session.sigma))

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
                return x0 + self.shift
        return x0


def run_of(model_options: dict[str, Any]) -> Run | None:
    """The run that is going on, None where these model options are not from one."""
    return model_options.get("transformer_options", {}).get(KEY)
