"""Forecast inside the network: blocks are skipped, embedders and the last layer run.

The sampler's thread decides and prepares a ``Plan``. Calls of the network, possibly several at once on threads of
their own, only read it, and write what they compute to places of their own condition.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ._core import Series, Session
from .architectures import Architecture, architecture_of
from .block_call import BlockCall, Plan, branches_of
from .block_patches import PATCHES
from .conditions import Branch, signature_of, signatures_by_condition
from .output_level import OutputLevel
from .patch import KEY

if TYPE_CHECKING:
    from .evaluation import Request


@dataclass(slots=True)
class BlockLevel:
    """A branch is one condition: (index of the entry in the host's ``conds``, uuid).

    patch     which of ``PATCHES`` stands in for the blocks
    fallback  the level to go on with if the network turns out not to call its patches
    served    the conditions that the network was called for when it last computed; None before that
    trouble   why nothing could be stored of the last computed evaluation
    storage   the device that keeps what is stored, None: where it was computed
    """

    architecture: Architecture
    patch: str
    fallback: OutputLevel
    plan: Plan | None = None
    served: set[Branch] | None = None
    trouble: str = ""
    storage: torch.device | None = None
    layouts: dict[Branch, dict[str, Any]] = field(default_factory=dict)

    def signatures(self, request: "Request", sigma: float) -> dict[Branch, Hashable]:
        """Without default conditions that masks cover wholly: the host never runs them."""
        every = signatures_by_condition(request.conds, request.x, sigma)
        idle = {(i, c["uuid"]) for i, cond in enumerate(request.conds) for c in cond or () if "default" in c}
        idle -= idle if self.served is None else self.served
        return {branch: signature for branch, signature in every.items() if branch not in idle}

    def forecast(
        self, request: "Request", sigma: float, series: Mapping[Branch, Series], session: Session
    ) -> list[Tensor]:
        plan = self._plan(request, series=series)
        denoised = self._follow(plan, request)
        if plan.objections:
            session.overrule(plan.objections[0])
        return denoised

    def compute(
        self, request: "Request", sigma: float, signatures: Mapping[Branch, Hashable]
    ) -> tuple[list[Tensor], Callable[[], dict[Branch, dict[str, Tensor]]]]:
        """The host's answer, and what gives what was recorded meanwhile."""
        plan = self._plan(request, recorded={branch: {} for branch in signatures})
        denoised = self._follow(plan, request)
        self.trouble = plan.trouble[0] if plan.trouble else ""
        recorded = {branch: tensors for branch, tensors in plan.recorded.items() if tensors and not plan.trouble}
        if recorded:
            self.served = plan.served | (self.served or set())
        return denoised, lambda: recorded

    def _plan(self, request: "Request", **what: Any) -> Plan:
        return Plan(
            self.architecture, PATCHES[self.patch], request.x.shape[0], self.layouts, storage=self.storage, **what
        )

    def _follow(self, plan: Plan, request: "Request") -> list[Tensor]:
        self.plan = plan
        try:
            return request.compute()
        finally:
            self.plan = None


def apply_model(executor: Any, *args: Any, **kwargs: Any) -> Tensor:
    """APPLY_MODEL wrapper, on any thread: puts our patches around the blocks of this one call."""
    call = signature_of(executor.original).bind(*args, **kwargs)
    options = call.arguments.get("transformer_options") or {}
    plan = getattr(getattr(options.get(KEY), "level", None), "plan", None)
    network = executor.class_obj.diffusion_model
    if plan is None or architecture_of(network) is not plan.architecture:
        return executor(*args, **kwargs)
    if call.arguments["x"].shape[0] != plan.batch * len(branches_of(options)):
        plan.trouble.append("another pack regroups the conditions between ComfyUI and the network")
        plan.objections.extend(plan.trouble[-1:] if plan.series is not None else ())
        return executor(*args, **kwargs)
    blocks = BlockCall(plan, network, options)
    call.arguments["transformer_options"] = blocks.patched(options)
    output = executor(*call.args, **call.kwargs)
    if not blocks.incomplete:
        return output
    blocks.object_to("another patch took the place of the last block")
    return executor(*call.args, **call.kwargs)
