"""The small models sampled in process through the host's own loaders, guiders and samplers."""

import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from . import host  # noqa: F401  first: makes `comfy` importable

import comfy.latent_formats  # isort: skip
import comfy.model_base  # isort: skip
import comfy.model_management  # isort: skip
import comfy.model_patcher  # isort: skip
import comfy.sample  # isort: skip
import comfy.samplers  # isort: skip
import comfy.sd  # isort: skip
import comfy.supported_models  # isort: skip
import comfy.utils  # isort: skip

from . import qwen_image, sdxl, videos, wan
from .pictures import SPLITS, Caption, captions, encode_captions
from .pixels import load_pixels

MODELS = Path(__file__).parent / "models"


@dataclass(frozen=True)
class Job:
    """One picture or video to sample: what, how large (latent cells, latent frames), how."""

    caption: Caption
    seed: int
    steps: int = 50
    sampler: str = "euler"
    scheduler: str = "simple"
    cfg: float = 1.0
    guidance: float = 3.0
    side: int = 16
    batch: int = 1
    frames: int = 1


# How each model is sampled as its users do, for jobs(split, count, **USUAL[model]); Flux and Qwen-Image as Job says.
USUAL: dict[str, dict[str, Any]] = {
    "flux": {},
    "qwen_image": {"cfg": 4.0},
    "sdxl": {"cfg": 6.0, "steps": 25, "sampler": "dpmpp_2m", "scheduler": "karras", "side": sdxl.SIDE},
    "wan": {"cfg": 5.0, "steps": 25, "sampler": "res_multistep", "side": wan.SIDE, "frames": videos.FRAMES},
}


@cache
def load_flux(split: str, dtype: torch.dtype = torch.float32) -> Any:
    """The MODEL that the host's "Load Diffusion Model" node makes of the split's checkpoint. Never sample a copy of it
    that you patched in place: it is shared."""
    path = MODELS / "diffusion_models" / f"small_flux_{split}.safetensors"
    return comfy.sd.load_diffusion_model(str(path), model_options={"dtype": dtype})


@cache
def load_qwen_image(split: str, dtype: torch.dtype = torch.float32) -> Any:
    """A MODEL of the split's small Qwen-Image. The host's loader knows only the full size, so this builds it as the
    loader does. Never sample a copy of it that you patched in place: it is shared."""
    patcher = _load("qwen_image", split, comfy.supported_models.QwenImage(dict(qwen_image.CONFIG)), dtype)
    patcher.model.to(dtype)
    return patcher


@cache
def load_sdxl(split: str, dtype: torch.dtype = torch.float32) -> Any:
    """A MODEL of the split's small SDXL, like load_qwen_image."""
    return _load("sdxl", split, comfy.supported_models.SDXL(dict(sdxl.CONFIG)), dtype)


@cache
def load_wan(split: str, dtype: torch.dtype = torch.float32) -> Any:
    """A MODEL of the split's small Wan 2.1, like load_qwen_image."""
    return _load("wan", split, comfy.supported_models.WAN21_T2V(dict(wan.CONFIG)), dtype)


def _load(name: str, split: str, config: Any, dtype: torch.dtype) -> Any:
    weights = comfy.utils.load_torch_file(str(MODELS / name / f"small_{name}_{split}.safetensors"))
    config.set_inference_dtype(dtype, None)
    load, offload = comfy.model_management.get_torch_device(), comfy.model_management.unet_offload_device()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about what old modules of the host do with NumPy
        model = config.get_model(weights, device=offload)
    model.load_model_weights(weights)
    return comfy.model_patcher.ModelPatcher(model, load_device=load, offload_device=offload)


@cache
def load_vae() -> Any:
    """The VAE that the host's "Load VAE" node makes of the two taef1 files."""
    state: dict[str, Tensor] = {}
    for part in ("encoder", "decoder"):
        weights = comfy.utils.load_torch_file(str(MODELS / "vae_approx" / f"taef1_{part}.safetensors"))
        state |= {f"taesd_{part}.{name}": weight for name, weight in weights.items()}
    flux = comfy.latent_formats.Flux()
    state["vae_scale"], state["vae_shift"] = torch.tensor(flux.scale_factor), torch.tensor(flux.shift_factor)
    return comfy.sd.VAE(sd=state)


def noise_levels(model: Any, steps: int, scheduler: str = "simple") -> list[float]:
    """The host's, one more than steps."""
    return comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), scheduler, steps).tolist()


# SDXL's block 0 is a list that the host goes through, never calls: its convolution counts.
FIRST = ("double_blocks.0", "transformer_blocks.0", "blocks.0", "input_blocks.0.0")


def first_block(network: torch.nn.Module) -> torch.nn.Module:
    """It runs once in every call that the network really computes, however many conditions the call is for."""
    return next((module for name, module in network.named_modules() if name in FIRST), network)


def conditioning(caption: Caption | None, guidance: float = 3.0, placed: bool = False) -> list:
    """A host CONDITIONING for a caption, or for no caption (all zeros, as in training).

    placed: see words_are_placed.
    """
    context, pooled = encode_captions([caption or captions(SPLITS["train"])[0]], placed)
    keep = 0.0 if caption is None else 1.0
    return [[context * keep, {"pooled_output": pooled * keep, "guidance": guidance}]]


def words_are_placed(model: Any) -> bool:
    """Whether the model was trained on captions whose words say their places (encode_captions)."""
    return isinstance(model.model, (comfy.model_base.SDXL, comfy.model_base.WAN21))


def conditions(model: Any, job: Job) -> tuple[list, list]:
    """The positive and the negative CONDITIONING of a job."""
    placed = words_are_placed(model)
    return conditioning(job.caption, job.guidance, placed), conditioning(None, job.guidance, placed)


def sample(model: Any, job: Job, callback: Any = None) -> Tensor:
    """Latents (batch, channels, [frames,] side, side) in the host's VAE space, through comfy.sample.sample, as KSampler
    does."""
    empty = _empty(model, job, job.batch)
    noise = comfy.sample.prepare_noise(empty, job.seed)
    return sample_from(model, job, empty, noise, *conditions(model, job), callback=callback)


def sample_together(
    model: Any, work: list[Job], latent: Tensor | None = None, noise_mask: Tensor | None = None
) -> Tensor:
    """The latents of jobs that differ in caption and seed only, (jobs, channels, [frames,] side, side), as one batch:
    equal to one by one up to rounding, and three times as fast. Samplers that draw noise between steps draw other
    noise.

    latent, noise_mask: to inpaint, as comfy.sample.sample takes them.
    """
    noise = torch.cat([comfy.sample.prepare_noise(_empty(model, job, 1), job.seed) for job in work])
    positive, negative = (_stack(list(each)) for each in zip(*(conditions(model, job) for job in work), strict=True))
    latent = _empty(model, work[0], len(work)) if latent is None else latent
    return sample_from(model, work[0], latent, noise, positive, negative, noise_mask=noise_mask)


def _empty(model: Any, job: Job, batch: int) -> Tensor:
    """As the host's nodes make it for the model: pictures (batch, channels, side, side), videos with frames."""
    latents = model.get_model_object("latent_format")
    frames = [job.frames] * (latents.latent_dimensions - 2)
    return torch.zeros(batch, latents.latent_channels, *frames, job.side, job.side)


def _stack(each: list[list]) -> list:
    """One CONDITIONING for a batch, of one for every picture."""
    (_, options), pooled = each[0][0], torch.cat([one[0][1]["pooled_output"] for one in each])
    return [[torch.cat([one[0][0] for one in each]), {**options, "pooled_output": pooled}]]


def sample_from(
    model: Any, job: Any, latent: Tensor, noise: Tensor, positive: list, negative: list, **how: Any
) -> Tensor:
    """comfy.sample.sample, as KSampler calls it. job: anything with steps, cfg, sampler, scheduler and seed."""
    return comfy.sample.sample(
        model,
        noise,
        job.steps,
        job.cfg,
        job.sampler,
        job.scheduler,
        positive,
        negative,
        latent,
        disable_pbar=True,
        seed=job.seed,
        **how,
    )


def decode(latents: Tensor) -> Tensor:
    """Pictures (B, 3, H, W) in [0, 1], or of latents with several frames videos (B, frames, 3, H, W).

    Flux and Qwen-Image have the same latents, but the host's formats scale them; SDXL's have 4 channels, and only
    Wan's have several frames.
    """
    if latents.shape[1] == sdxl.CONFIG["in_channels"]:
        return load_pixels("sdxl").decode(comfy.latent_formats.SDXL().process_in(latents))
    if latents.ndim == 5 and latents.shape[2] > 1:
        return load_pixels("wan").decode(comfy.latent_formats.Wan21().process_in(latents))
    if latents.ndim == 5:  # Qwen-Image's, with one frame
        latents = comfy.latent_formats.Flux().process_out(comfy.latent_formats.Wan21().process_in(latents)[:, :, 0])
    return load_vae().decode(latents).movedim(-1, 1).clamp(0.0, 1.0)


def jobs(split: str, count: int, **how: Any) -> list[Job]:
    """``count`` jobs with captions spread over the split and seeds 1000, 1001, ..."""
    every = captions(SPLITS[split])
    return [Job(every[(i * 173) % len(every)], seed=1000 + i, **how) for i in range(count)]
