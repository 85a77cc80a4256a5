"""A row for a tiny model, how a MODEL is built from it, and how it is sampled."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from small_models import host  # noqa: F401  first: makes `comfy` importable
from torch import Tensor, nn

import comfy.model_management  # isort: skip
import comfy.model_patcher  # isort: skip
import comfy.sample  # isort: skip
import comfy.supported_models  # isort: skip

Conditioning = list[list[Any]]  # the host's: [[tensor (1, tokens, channels), options], ...]


@dataclass(frozen=True)
class TinyModel:
    """One model of the host.

    name      as artists call it
    config    its class in comfy.supported_models; hosts without it do not have the model
    unet      what the host would detect from a checkpoint, tiny
    latent    shape of an empty latent, (1, channels, [frames,] height, width)
    context   (tokens, channels) of the text conditioning
    extra     (seed) -> options of the conditioning: pooled output, guidance, reference latents, ...
    """

    name: str
    config: str
    unet: dict[str, Any]
    latent: tuple[int, ...]
    context: tuple[int, int]
    extra: Callable[[int], dict[str, Any]] = field(default=lambda seed: {})

    @property
    def in_this_host(self) -> bool:
        return hasattr(comfy.supported_models, self.config)

    def build(self, dtype: torch.dtype = torch.float32, manual_cast: torch.dtype | None = None) -> Any:
        """A MODEL (the host's ModelPatcher) as its loader makes it, with seeded random weights."""
        config = getattr(comfy.supported_models, self.config)(dict(self.unet))
        config.set_inference_dtype(dtype, manual_cast)
        load, offload = comfy.model_management.get_torch_device(), comfy.model_management.unet_offload_device()
        model = config.get_model({}, device=offload).to(dtype)
        fill(model.diffusion_model, seed=zlib.crc32(self.name.encode()))
        return comfy.model_patcher.ModelPatcher(model, load_device=load, offload_device=offload)

    def conditioning(self, seed: int) -> Conditioning:
        tokens, channels = self.context
        generator = torch.Generator().manual_seed(seed)
        return [[torch.randn(1, tokens, channels, generator=generator), self.extra(seed)]]

    def empty_latent(self, batch: int = 1) -> Tensor:
        return torch.zeros(batch, *self.latent[1:])


def fill(network: nn.Module, seed: int) -> None:
    """Random weights under which every part of the network has a say: unit gain, norms near 1, small biases."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in network.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float32)
        if parameter.ndim > 1:
            value = noise / parameter[0].numel() ** 0.5
        else:
            value = 0.1 * noise + (1.0 if "norm" in name and name.endswith(("weight", "scale")) else 0.0)
        parameter.data.copy_(value)


def sample(model: Any, row: TinyModel, **how: Any) -> Tensor:
    """The latent of comfy.sample.sample, as KSampler calls it, with seeds 1 and 2 for positive and negative."""
    wanted = {"steps": 8, "cfg": 1.0, "sampler": "euler", "scheduler": "simple", "seed": 0, "batch": 1, **how}
    positive, negative = wanted.get("positive") or row.conditioning(1), wanted.get("negative") or row.conditioning(2)
    latent = row.empty_latent(wanted["batch"])
    return comfy.sample.sample(
        model,
        comfy.sample.prepare_noise(latent, wanted["seed"]),
        wanted["steps"],
        wanted["cfg"],
        wanted["sampler"],
        wanted["scheduler"],
        positive,
        negative,
        latent,
        disable_pbar=True,
        seed=wanted["seed"],
    )
