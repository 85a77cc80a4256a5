"""A workflow of an artist, ready to run on a MODEL, and how its rows are described."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from tiny_models.model import Conditioning, TinyModel
from torch import Tensor, nn

import comfy.utils  # isort: skip
import nodes  # isort: skip  the host's
from comfy_extras import nodes_custom_sampler  # isort: skip

comfy.utils.set_progress_bar_enabled(False)


@dataclass(frozen=True)
class Workflow:
    """What goes into the sampler node, and which one.

    latent   the host's LATENT
    watched  networks beside the model's own whose calls are counted: ControlNets, model patches
    sampler  Workflow -> latent
    """

    row: TinyModel
    model: Any
    positive: Conditioning
    negative: Conditioning
    latent: dict[str, Any]
    cfg: float = 3.0
    steps: int = 8
    denoise: float = 1.0
    watched: tuple[nn.Module, ...] = ()
    sampler: Callable[["Workflow"], Tensor] = field(default=lambda workflow: ksampler(workflow))

    def run(self, model: Any | None = None) -> Tensor:
        """The latent, with ``model`` in place of the workflow's own."""
        return self.sampler(self if model is None else replace(self, model=model))

    @property
    def network(self) -> nn.Module:
        return self.model.get_model_object("diffusion_model")

    def noise(self, seed: int) -> Tensor:
        """As large as the latent."""
        samples = self.latent["samples"]
        return torch.randn(samples.shape, generator=torch.Generator().manual_seed(seed))


def basic(row: TinyModel, model: Any) -> Workflow:
    """Text to image with KSampler."""
    latent = {"samples": row.empty_latent()}
    return Workflow(row, model, row.conditioning(1), row.conditioning(2), latent)


@dataclass(frozen=True)
class Composition:
    """One row of the matrix.

    name     as artists call the node or the feature
    group    of the table
    build    a basic workflow -> the composed one
    lacks    why the host does not have it for this model, "" if it has
    alters   whether the result differs from text to image with KSampler
    """

    name: str
    group: str
    build: Callable[[Workflow], Workflow]
    lacks: Callable[[Workflow], str] = field(default=lambda workflow: "")
    alters: bool = True


def node(module: str, name: str) -> Any:
    """A node class of comfy_extras, None if this host has none."""
    try:
        return getattr(importlib.import_module(f"comfy_extras.{module}"), name, None)
    except ModuleNotFoundError:
        return None


def call(module: str, name: str, *args: Any, **kwargs: Any) -> Any:
    """The first output of a node of either kind."""
    found = node(module, name)
    if hasattr(found, "execute"):
        return found.execute(*args, **kwargs).result[0]
    return getattr(found(), found.FUNCTION)(*args, **kwargs)[0]


def ksampler(w: Workflow) -> Tensor:
    how = (0, w.steps, w.cfg, "euler", "simple", w.positive, w.negative, w.latent)
    return nodes.KSampler().sample(w.model, *how, denoise=w.denoise)[0]["samples"]


def ksampler_in_two_parts(w: Workflow) -> Tensor:
    """Two KSampler (Advanced) nodes: the first leaves its noise in, the second adds none."""
    half, latent = w.steps // 2, w.latent
    for add, start, end, leave in (("enable", 0, half, "enable"), ("disable", half, w.steps, "disable")):
        how = (add, 0, w.steps, w.cfg, "euler", "simple", w.positive, w.negative, latent, start, end, leave)
        (latent,) = nodes.KSamplerAdvanced().sample(w.model, *how)
    return latent["samples"]


def custom_sampler(guider: Callable[[Workflow], Any]) -> Callable[[Workflow], Tensor]:
    """SamplerCustomAdvanced with a guider."""
    return lambda w: _custom(w, guider(w), _sigmas(w), w.latent, noise=True)


def split_sigmas(w: Workflow) -> Tensor:
    """SamplerCustomAdvanced twice, the second without noise, over the halves of SplitSigmas."""
    halves = nodes_custom_sampler.SplitSigmas.execute(_sigmas(w), w.steps // 2).result
    guider, latent = cfg_guider(w), w.latent
    for first, sigmas in zip((True, False), halves, strict=True):
        latent = {**latent, "samples": _custom(w, guider, sigmas, latent, noise=first)}
    return latent["samples"]


def cfg_guider(w: Workflow) -> Any:
    return call("nodes_custom_sampler", "CFGGuider", w.model, w.positive, w.negative, w.cfg)


def _sigmas(w: Workflow) -> Tensor:
    return call("nodes_custom_sampler", "BasicScheduler", w.model, "simple", w.steps, w.denoise)


def _custom(w: Workflow, guider: Any, sigmas: Tensor, latent: dict[str, Any], noise: bool) -> Tensor:
    source = ("RandomNoise", 0) if noise else ("DisableNoise",)
    euler = call("nodes_custom_sampler", "KSamplerSelect", "euler")
    how = (call("nodes_custom_sampler", *source), guider, euler, sigmas, latent)
    return call("nodes_custom_sampler", "SamplerCustomAdvanced", *how)["samples"]
