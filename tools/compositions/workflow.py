"""A workflow of an artist, ready to run on a MODEL, and how its rows are described."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from tiny_models.model import Conditioning, TinyModel, randn
from torch import Tensor, nn

import comfy.supported_models  # isort: skip
import comfy.utils  # isort: skip
from comfy.nested_tensor import NestedTensor  # isort: skip
import nodes  # isort: skip  the host's
from comfy_extras import nodes_custom_sampler  # isort: skip

comfy.utils.set_progress_bar_enabled(False)


@dataclass(frozen=True)
class Workflow:
    """What goes into the sampler node, and which one.

    latent   the host's LATENT
    watched  networks beside the model's own whose calls are counted: ControlNets, model patches
    sampler  Workflow -> latent, nested where the model's is
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
    sampler: Callable[["Workflow"], Any] = field(default=lambda workflow: ksampler(workflow))

    def run(self, model: Any | None = None) -> Tensor:
        """The latent, with ``model`` in place of the workflow's own; the parts of a nested one in one row."""
        samples = self.sampler(self if model is None else replace(self, model=model))
        return torch.cat([part.flatten() for part in samples.unbind()]) if samples.is_nested else samples

    @property
    def network(self) -> nn.Module:
        return self.model.get_model_object("diffusion_model")

    @property
    def parts(self) -> list[Tensor]:
        """The latent, or the latents of a nested one: video and audio."""
        samples = self.latent["samples"]
        return list(samples.unbind()) if samples.is_nested else [samples]

    @property
    def shape(self) -> torch.Size:
        """Of the latent, or of the first part of a nested one."""
        return self.parts[0].shape

    def noise(self, seed: int) -> Any:
        """As large as the latent."""
        noise = [randn(seed + i, *part.shape) for i, part in enumerate(self.parts)]
        return NestedTensor(noise) if self.latent["samples"].is_nested else noise[0]


def basic(row: TinyModel, model: Any) -> Workflow:
    """Text to image with KSampler."""
    latent = {"samples": empty(row)}
    return Workflow(row, model, row.conditioning(1), row.conditioning(2), latent)


def empty(row: TinyModel, batch: int = 1) -> Any:
    """An empty latent; not quite, where the tiny model has fewer channels than its kind, which the host would add."""
    samples = row.empty_latent(batch)
    config = getattr(comfy.supported_models, row.config)
    channels = (samples.unbind()[0] if samples.is_nested else samples).shape[1]
    return samples if channels == config.latent_format.latent_channels else samples + 1e-4


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


def ksampler(w: Workflow) -> Any:
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
