"""Forecast inside the network: blocks are skipped, embedders and the last layer run.

The sampler's thread decides and prepares a ``Plan``. Calls of the network, possibly several at once on threads of
their own, only read it, and write what they compute to places of their own condition.
"""

import inspect
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ._core import Series, Session
from .architectures import ARCHITECTURES, Architecture
from .block_patches import PATCHES, BlockCall, Plan
from .conditions import Branch, signatures_by_condition
from .output_level import OutputLevel
from .patch import KEY

if TYPE_CHECKING:
    from .evaluation import Request


@dataclass(slots=True)
class BlockLevel:
    """A branch is one condition: (index of the entry in the host's ``conds``, uuid).

    patch     which of ``PATCHES`` stands in for the blocks
    fallback  the level to go on with if the network turns out not to call its patches
    """

    architecture: Architecture
    patch: str
    fallback: OutputLevel
    plan: Plan | None = None
    layouts: dict[Branch, dict[str, Any]] = field(default_factory=dict)

    def signatures(self, request: "Request", sigma: float) -> dict[Branch, Hashable]:
        return signatures_by_condition(request.conds, request.x, sigma)

    def forecast(
        self, request: "Request", sigma: float, series: Mapping[Branch, Series], session: Session
    ) -> list[Tensor]:
        plan = Plan(self.architecture, PATCHES[self.patch], self.layouts, series=series)
        denoised = self._follow(plan, request)
        if plan.objections:
            session.overrule(plan.objections[0])
        return denoised

    def compute(
        self, request: "Request", sigma: float, signatures: Mapping[Branch, Hashable]
    ) -> tuple[list[Tensor], dict[Branch, dict[str, Tensor]]]:
        plan = Plan(self.architecture, PATCHES[self.patch], self.layouts, recorded={b: {} for b in signatures})
        denoised = self._follow(plan, request)
        return denoised, {branch: tensors for branch, tensors in plan.recorded.items() if tensors}

    def _follow(self, plan: Plan, request: "Request") -> list[Tensor]:
        self.plan = plan
        try:
            return request.compute()
        finally:
            self.plan = None


def apply_model(executor: Any, *args: Any, **kwargs: Any) -> Tensor:
    """APPLY_MODEL wrapper, on any thread: puts our patches around the blocks of this one call."""
    call = inspect.signature(executor.original).bind(*args, **kwargs)
    options = call.arguments.get("transformer_options") or {}
    plan = getattr(getattr(options.get(KEY), "level", None), "plan", None)
    network = executor.class_obj.diffusion_model
    if plan is None or "uuids" not in options or ARCHITECTURES.get(type(network)) is not plan.architecture:
        return executor(*args, **kwargs)
    blocks = BlockCall(plan, network, options)
    call.arguments["transformer_options"] = blocks.patched(options)
    output = executor(*call.args, **call.kwargs)
    if not blocks.incomplete:
        return output
    blocks.object_to("another patch took the place of the last block")
    return executor(*call.args, **call.kwargs)
