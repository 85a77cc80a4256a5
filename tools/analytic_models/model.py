"""A mixture as a MODEL of the host: its samplers, guiders and noise levels, a closed form for a network."""

from dataclasses import dataclass
from typing import Any

import torch
from small_models import host  # noqa: F401  first: makes `comfy` importable
from small_models.sampling import sample_from
from torch import Tensor, nn

import comfy.conds  # isort: skip
import comfy.latent_formats  # isort: skip
import comfy.model_base  # isort: skip
import comfy.model_management  # isort: skip
import comfy.model_patcher  # isort: skip
import comfy.patcher_extension  # isort: skip
import comfy.sample  # isort: skip
import comfy.supported_models_base  # isort: skip

from .mixture import Mixture

PROMPTS = 4  # each chooses its share of the layouts
SHIFT = 1.15  # FLUX.1's


class Network(nn.Module):
    """The exact answer for a mixture: the velocity of a flow model, or the noise of an epsilon model."""

    def __init__(self, mixture: Mixture, flow: bool) -> None:
        super().__init__()
        self.mixture, self.flow, self.dtype = mixture, flow, torch.float32

    def forward(self, x: Tensor, timesteps: Tensor, context: Tensor, transformer_options: Any, **more: Any) -> Tensor:
        """x (B, channels, side, side); context (B, 1, layouts): 1 for layouts that the prompt may mean.

        Within what wraps the networks of the host.
        """
        kind = comfy.patcher_extension.WrappersMP.DIFFUSION_MODEL
        wrappers = comfy.patcher_extension.get_all_wrappers(kind, transformer_options)
        executor = comfy.patcher_extension.WrapperExecutor.new_class_executor(self._answer, self, wrappers)
        return executor.execute(x, timesteps, context, transformer_options=transformer_options, **more)

    def _answer(self, x: Tensor, timesteps: Tensor, context: Tensor, transformer_options: Any, **unused: Any) -> Tensor:
        noise = float(transformer_options["sigmas"][0])  # the time step of an epsilon model is rounded
        if not self.flow:
            x = x * (noise**2 + 1.0) ** 0.5
        signal = 1.0 - noise if self.flow else 1.0
        return self.mixture.direction(x, signal, noise, self.mixture.prior(context[:, 0].float()), self.flow)


class _Latents(comfy.latent_formats.LatentFormat):
    def __init__(self, channels: int) -> None:
        self.latent_channels = channels


class _Model(comfy.model_base.BaseModel):
    def extra_conds(self, **kwargs: Any) -> dict[str, Any]:
        return {"c_crossattn": comfy.conds.CONDRegular(kwargs["cross_attn"])}


def build(mixture: Mixture, flow: bool = True) -> Any:
    """A MODEL with FLUX's noise levels, or with those of Stable Diffusion."""
    config = comfy.supported_models_base.BASE({"disable_unet_model_creation": True})
    config.latent_format = _Latents(mixture.channels)
    config.sampling_settings = {"shift": SHIFT} if flow else {}
    kind = comfy.model_base.ModelType
    model = _Model(config, kind.FLUX if flow else kind.EPS)
    model.diffusion_model = Network(mixture, flow)
    load = comfy.model_management.get_torch_device()
    return comfy.model_patcher.ModelPatcher(model, load_device=load, offload_device=torch.device("cpu"))


@dataclass(frozen=True)
class Job:
    """One picture to sample. prompt: which layouts it may have; ``cfg`` pushes away from all layouts together."""

    seed: int
    prompt: int = 0
    steps: int = 50
    sampler: str = "euler"
    scheduler: str = "simple"
    cfg: float = 1.0


def jobs(count: int, **how: Any) -> list[Job]:
    return [Job(seed=1000 + i, prompt=i % PROMPTS, **how) for i in range(count)]


def conditioning(mixture: Mixture, prompts: list[int | None]) -> list:
    """A host CONDITIONING for a batch: of every prompt, or of all layouts for None."""
    rows = torch.zeros(len(prompts), 1, mixture.layouts)
    for row, prompt in zip(rows, prompts, strict=True):
        share = slice(None) if prompt is None or mixture.layouts < PROMPTS else slice(prompt, None, PROMPTS)
        row[0, share] = 1.0
    return [[rows, {"pooled_output": None}]]


def noise_of(mixture: Mixture, work: list[Job]) -> Tensor:
    """Of every picture's own seed, (jobs, channels, side, side)."""
    empty = torch.zeros(1, mixture.channels, mixture.side, mixture.side)
    return torch.cat([comfy.sample.prepare_noise(empty, job.seed) for job in work])


def sample_together(
    model: Any, work: list[Job], latent: Tensor | None = None, noise_mask: Tensor | None = None
) -> Tensor:
    """The latents of jobs that differ in prompt and seed only, (jobs, channels, side, side), as one batch.

    latent, noise_mask: to inpaint, as comfy.sample.sample takes them.
    """
    mixture = model.model.diffusion_model.mixture
    noise = noise_of(mixture, work)
    latent = torch.zeros_like(noise) if latent is None else latent
    prompts = conditioning(mixture, [job.prompt for job in work]), conditioning(mixture, [None] * len(work))
    return sample_from(model, work[0], latent, noise, *prompts, noise_mask=noise_mask)
