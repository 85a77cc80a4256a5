"""Counts what a network really computes, from inside it: the demo and the tests believe no other number."""

import math
from typing import Any
from weakref import WeakSet

from comfy.patcher_extension import WrappersMP
from comfy_api.latest import ComfyExtension, io
from torch import Tensor, nn


class Calls:
    """The noise level of every call of the hooked networks, one list for each sampling run of a probed MODEL."""

    def __init__(self) -> None:
        self._runs: list[list[float]] = []
        self._current: list[float] | None = None
        self._sigma = math.nan
        self._hooked: WeakSet[nn.Module] = WeakSet()

    def hook(self, layer: nn.Module) -> None:
        """Once, however many clones of a MODEL share the layer."""
        if layer not in self._hooked:
            layer.register_forward_pre_hook(self._count)
            self._hooked.add(layer)

    def _count(self, _layer: nn.Module, _inputs: tuple[Tensor, ...]) -> None:
        if self._current is not None:
            self._current.append(self._sigma)

    def outer_sample(self, executor: Any, *args: Any, **kwargs: Any) -> Any:
        self._current = []
        self._runs.append(self._current)
        try:
            return executor(*args, **kwargs)
        finally:
            self._current = None

    def apply_model(self, executor: Any, x: Tensor, sigma: Tensor, *args: Any, **kwargs: Any) -> Any:
        self._sigma = float(sigma[0])
        return executor(x, sigma, *args, **kwargs)

    def take(self, count: int) -> list[list[float]]:
        """Those of the last ``count`` runs; what was interrupted before them is dropped."""
        runs, self._runs = self._runs[-count:], []
        return runs


CALLS = Calls()


def inside_the_first_block(network: Any) -> nn.Module:
    """Of Flux or Qwen-Image: a layer that runs only when the block is computed."""
    if hasattr(network, "double_blocks"):
        return network.double_blocks[0].img_attn.qkv
    return network.transformer_blocks[0].attn.to_q


class HiCacheDemoProbe(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiCacheDemoProbe",
            category="HiCache/demo",
            inputs=[io.Model.Input("model")],
            outputs=[io.Model.Output()],
        )

    @classmethod
    def execute(cls, model: Any) -> io.NodeOutput:
        CALLS.hook(inside_the_first_block(model.get_model_object("diffusion_model")))
        probed = model.clone()
        probed.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, "hicache_demo", CALLS.outer_sample)
        probed.add_wrapper_with_key(WrappersMP.APPLY_MODEL, "hicache_demo", CALLS.apply_model)
        return io.NodeOutput(probed)


class HiCacheDemoReadout(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiCacheDemoReadout",
            category="HiCache/demo",
            inputs=[io.Latent.Input("latent", tooltip="What the sampler gave: the counts are read after it.")],
            is_output_node=True,
            is_input_list=True,  # one readout for a whole list of pictures
        )

    @classmethod
    def fingerprint_inputs(cls, **_: Any) -> float:
        return math.nan  # never cached

    @classmethod
    def execute(cls, latent: list[Any]) -> io.NodeOutput:
        runs = CALLS.take(len(latent))
        return io.NodeOutput(ui={"calls": [len(run) for run in runs], "sigmas": runs})


class DemoExtension(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [HiCacheDemoProbe, HiCacheDemoReadout]


async def comfy_entrypoint() -> DemoExtension:
    return DemoExtension()
