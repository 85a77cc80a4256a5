"""Forecast the model's output for every condition: any architecture, no network and no ControlNet on a skipped step."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ._core import OUTPUT, Series, Session
from .conditions import replay_state_callbacks, signatures_by_entry

if TYPE_CHECKING:
    from .evaluation import Request


@dataclass(frozen=True, slots=True)
class OutputLevel:
    """A branch is an entry of the host's ``conds``: its index.

    What is forecast is the direction d = (x - denoised) / sigma: the velocity of a flow model, the noise of an epsilon
    model, smooth along the path of a deterministic sampler. Where noise is added between steps, d carries noise that is
    not in x any more, and with ``forecasts_denoised`` the denoised image itself is forecast.
    """

    forecasts_denoised: bool = False

    def signatures(self, request: "Request", sigma: float) -> dict[int, Hashable]:
        return signatures_by_entry(request.conds, request.x, sigma)

    def forecast(
        self, request: "Request", sigma: float, series: Mapping[int, Series], session: Session
    ) -> list[Tensor]:
        replay_state_callbacks(request.model, request.timestep, request.model_options)
        return [self._denoised(request.x, sigma, series.get(index)) for index in range(len(request.conds))]

    def compute(
        self, request: "Request", sigma: float, signatures: Mapping[int, Hashable]
    ) -> tuple[list[Tensor], Callable[[], dict[int, Callable[[], dict[str, Tensor]]]]]:
        """The host's answer, and what gives the makers of its anchors."""
        denoised = request.compute()
        return denoised, partial(self.anchors, request, sigma, denoised, signatures)

    def anchors(
        self, request: "Request", sigma: float, denoised: list[Tensor], signatures: Mapping[int, Hashable]
    ) -> dict[int, Callable[[], dict[str, Tensor]]]:
        """What makes what is stored of a computed answer, for one entry at a time."""
        return {
            i: partial(self._anchor, request.x, sigma, image) for i, image in enumerate(denoised) if i in signatures
        }

    def _anchor(self, x: Tensor, sigma: float, denoised: Tensor) -> dict[str, Tensor]:
        return {OUTPUT: denoised.clone() if self.forecasts_denoised else (x - denoised).div_(sigma)}

    def _denoised(self, x: Tensor, sigma: float, series: Series | None) -> Tensor:
        """The denoised image of an entry; zeros, as in the host, for one that is None or not active."""
        if series is None:
            return torch.zeros_like(x)
        forecast = series.combine(OUTPUT, x.device)
        return forecast if self.forecasts_denoised else torch.add(x, forecast, alpha=-sigma, out=forecast)
