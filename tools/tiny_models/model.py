"""A row for a tiny model, how a MODEL is built from it, and how it is sampled."""

import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from packaging.version import Version
from small_models import host  # noqa: F401  first: makes `comfy` importable
from torch import Tensor, nn

import comfyui_version  # isort: skip

import comfy.clip_vision  # isort: skip
import comfy.model_management  # isort: skip
import comfy.model_patcher  # isort: skip
import comfy.sample  # isort: skip
import comfy.supported_models  # isort: skip
from comfy.nested_tensor import NestedTensor  # isort: skip

Conditioning = list[list[Any]]  # the host's: [[tensor (1, tokens, channels), options], ...]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class TinyModel:
    """One model of the host.

    name        as artists call it
    config      its class in comfy.supported_models; hosts without it do not have the model
    unet        what the host would detect from a checkpoint, tiny
    latent      shape of an empty latent, (1, channels, [frames,] height, width); several shapes for a nested latent
    context     (tokens, channels) of the text conditioning
    extra       (seed) -> options of the conditioning: pooled output, guidance, reference latents, ...
    checkpoint  () -> tensors that the host looks for in a checkpoint while it builds the model
    setup       (network) -> None, before the weights: makes small what no setting makes small
    picture     whether the model turns one picture into another: then its latent is one, not an empty one
    since       version of the host from which on it can sample this
    """

    name: str
    config: str
    unet: dict[str, Any]
    latent: Shape | tuple[Shape, ...]
    context: tuple[int, int]
    extra: Callable[[int], dict[str, Any]] = field(default=lambda seed: {})
    checkpoint: Callable[[], dict[str, Tensor]] = field(default=dict)
    setup: Callable[[nn.Module], None] = field(default=lambda network: None)
    picture: bool = False
    since: str = "0"

    @property
    def in_this_host(self) -> bool:
        new_enough = Version(comfyui_version.__version__) >= Version(self.since)
        return new_enough and hasattr(comfy.supported_models, self.config)

    def build(self, dtype: torch.dtype = torch.float32, manual_cast: torch.dtype | None = None) -> Any:
        """A MODEL (the host's ModelPatcher) as its loader makes it, with seeded random weights."""
        config = getattr(comfy.supported_models, self.config)(dict(self.unet))
        config.unet_config.update(self.unet)  # the class adds the number of heads of its full size
        config.set_inference_dtype(dtype, manual_cast)
        load, offload = comfy.model_management.get_torch_device(), comfy.model_management.unet_offload_device()
        with _nan_where_uninitialized(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about what old modules of the host do with NumPy
            model = config.get_model(self.checkpoint(), device=offload)
            self.setup(model.diffusion_model)
        fill(model.diffusion_model, seed=zlib.crc32(self.name.encode()))
        return comfy.model_patcher.ModelPatcher(model, load_device=load, offload_device=offload)

    def conditioning(self, seed: int) -> Conditioning:
        """Text encoders of the host always return a pooled output, which may be None."""
        return [[randn(seed, 1, *self.context), {"pooled_output": None, **self.extra(seed)}]]

    def empty_latent(self, batch: int = 1) -> Any:
        if isinstance(self.latent[0], tuple):
            return NestedTensor([torch.zeros(batch * shape[0], *shape[1:]) for shape in self.latent])
        shape = (batch * self.latent[0], *self.latent[1:])
        return randn(11, *shape) if self.picture else torch.zeros(shape)


def randn(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def vision(**features: Tensor) -> Any:
    """What a CLIP vision encoder returns."""
    output = comfy.clip_vision.Output()
    for name, value in features.items():
        output[name] = value
    return output


@contextmanager
def _nan_where_uninitialized() -> Iterator[None]:
    """torch.empty gives NaN, so that ``fill`` finds the buffers that the host leaves to the checkpoint."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def fill(network: nn.Module, seed: int) -> None:
    """Random weights under which every part of the network has a say: unit gain, norms near 1, small biases."""
    generator = torch.Generator().manual_seed(seed)
    for name, module in network.named_modules():
        is_norm = "norm" in f"{name} {type(module).__name__}".lower()
        for kind, parameter in module.named_parameters(recurse=False):
            center = 1.0 if is_norm and kind in ("weight", "scale", "gamma") else 0.0
            parameter.data.copy_(_random(parameter, center, generator))
        for _, buffer in module.named_buffers(recurse=False):
            if buffer.is_floating_point() and buffer.isnan().any():
                buffer.copy_(_random(buffer, 0.0, generator))


def _random(like: Tensor, center: float, generator: torch.Generator) -> Tensor:
    noise = torch.randn(like.shape, generator=generator, dtype=torch.float32)
    return noise / like[0].numel() ** 0.5 if like.ndim > 1 else center + 0.1 * noise


def sample(
    model: Any,
    row: TinyModel,
    *,
    steps: int = 8,
    cfg: float = 1.0,
    sampler: str = "euler",
    scheduler: str = "simple",
    seed: int = 0,
    batch: int = 1,
    positive: Conditioning | None = None,
    negative: Conditioning | None = None,
    latent: Any = None,
    **more: Any,
) -> Any:
    """What comfy.sample.sample returns, as KSampler calls it; seeds 1 and 2 for positive and negative.

    more: further arguments of comfy.sample.sample, such as noise_mask, denoise and callback.
    """
    latent = row.empty_latent(batch) if latent is None else latent
    return comfy.sample.sample(
        model,
        comfy.sample.prepare_noise(latent, seed),
        steps,
        cfg,
        sampler,
        scheduler,
        positive or row.conditioning(1),
        negative or row.conditioning(2),
        latent,
        disable_pbar=True,
        seed=seed,
        **more,
    )
