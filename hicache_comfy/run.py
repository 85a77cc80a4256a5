"""What the wrappers of one sampling run share, through that run's own transformer options."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ._core import Session
from .patch import KEY


@dataclass(slots=True)
class Run:
    """The session, and the network's own denoised image where the sampler was given a corrected one."""

    session: Session
    uncorrected: Tensor | None = None

    def preview(self, callback: Callable[..., Any] | None) -> Callable[..., Any] | None:
        """The step callback, shown the network's own denoised image."""
        if callback is None:
            return None
        return lambda step, x0, *rest: callback(step, x0 if self.uncorrected is None else self.uncorrected, *rest)


def run_of(model_options: dict[str, Any]) -> Run | None:
    """The run that is going on, None where these model options are not from one."""
    return model_options.get("transformer_options", {}).get(KEY)
