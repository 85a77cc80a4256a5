"""A model of your own in place of the small ones: loaded, prompted and decoded as ComfyUI's own nodes do it."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from small_models.sampling import sample_from
from subjects import PLAIN, Subject
from torch import Tensor

import comfy.sample  # isort: skip
import comfy.sd  # isort: skip
import comfy.utils  # isort: skip
import node_helpers  # isort: skip

PROMPTS = (
    "a red fox asleep on a mossy rock in a pine forest, morning light",
    "portrait of an old fisherman with a grey beard, overcast sky, sharp focus",
    "a wooden sign that says OPEN LATE above the door of a small bookshop",
    "a bowl of ramen with egg and spring onions, seen from above",
    "an astronaut riding a white horse through a field of sunflowers",
    "a glass teapot with flowering tea on a linen tablecloth",
    "a city street at night in the rain, neon reflections, a yellow taxi",
    "watercolour of a lighthouse on a cliff, storm clouds",
    "a tabby cat reading a newspaper at a kitchen table",
    "macro photograph of a dragonfly on a blade of grass",
    "an isometric drawing of a tiny workshop full of tools",
    "two children building a sandcastle, waves in the background",
    "a brutalist concrete library covered in ivy",
    "a still life with pears, a blue jug and a folded cloth, oil painting",
    "a mountain lake at sunrise, perfect reflection, mist",
    "a robot watering plants on a balcony, soft evening light",
)


@dataclass(frozen=True)
class Prompt:
    """One picture to sample. guidance: for models with a guidance input; others ignore it."""

    text: str
    seed: int
    steps: int
    sampler: str
    cfg: float
    pixels: int
    guidance: float
    scheduler: str = "simple"


def add_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("a model of your own, instead of --model and --split")
    group.add_argument("--checkpoint", type=Path, help="file with the diffusion model, and perhaps the two below")
    group.add_argument("--text-encoder", type=Path, nargs="+", help="one file or more, if it is not in the checkpoint")
    group.add_argument("--text-encoder-type", default="flux", help="as in the node Load CLIP: flux, qwen_image ...")
    group.add_argument("--vae", type=Path, help="if it is not in the checkpoint")
    group.add_argument("--prompts", type=Path, help="text file with a prompt in every line; default: 16 of ours")
    group.add_argument("--pixels", type=int, default=1024, help="side of the pictures")
    group.add_argument("--guidance", type=float, default=3.5)
    group.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="bfloat16")


def subject(arguments: argparse.Namespace) -> Subject:
    """Prompts are encoded beforehand; the text encoder is not kept. They are sampled one by one."""
    found, clip, vae = comfy.sd.load_checkpoint_guess_config(
        str(arguments.checkpoint),
        output_clip=arguments.text_encoder is None,
        output_vae=arguments.vae is None,
        model_options={"dtype": getattr(torch, arguments.dtype)},
    )[:3]
    clip = clip if arguments.text_encoder is None else text_encoder(arguments)
    vae = vae if arguments.vae is None else comfy.sd.VAE(sd=comfy.utils.load_torch_file(str(arguments.vae)))
    if clip is None:
        raise SystemExit(f"{arguments.checkpoint} has no text encoder: name its files with --text-encoder.")
    if vae is None or vae.first_stage_model is None:
        raise SystemExit(f"{arguments.checkpoint} has no VAE: name its file with --vae.")
    lines = prompts(arguments)
    texts = {text: encode(clip, text) for text in {"", *lines}}

    def jobs(count: int, **how: Any) -> list[Prompt]:
        how = {"steps": 50, **PLAIN, "pixels": arguments.pixels, "guidance": arguments.guidance, **how}
        return [Prompt(lines[k % len(lines)], 1000 + k, **how) for k in range(count)]

    together, name = sampling(texts), arguments.checkpoint.name
    return Subject(name, found, together, jobs, PLAIN, decode=lambda latent: decode(vae, latent))


def prompts(arguments: argparse.Namespace) -> list[str]:
    """As many as there are pictures, or fewer."""
    lines = arguments.prompts.read_text("utf-8").splitlines() if arguments.prompts else PROMPTS
    texts = [line.strip() for line in lines if line.strip()]
    if not texts:
        raise SystemExit(f"{arguments.prompts} has no prompt in it: write one in every line.")
    return texts[: arguments.pictures]


def text_encoder(arguments: argparse.Namespace) -> Any:
    kinds = {kind.name.lower(): kind for kind in comfy.sd.CLIPType}
    if arguments.text_encoder_type not in kinds:
        raise SystemExit(f"--text-encoder-type is {arguments.text_encoder_type!r}: choose one of {', '.join(kinds)}.")
    files = [str(path) for path in arguments.text_encoder]
    return comfy.sd.load_clip(files, clip_type=kinds[arguments.text_encoder_type])


def encode(clip: Any, text: str) -> Any:
    return clip.encode_from_tokens_scheduled(clip.tokenize(text))


def sampling(texts: dict[str, Any]) -> Callable[..., Tensor]:
    """What samples prompts, through comfy.sample.sample as KSampler does."""

    def sample(model: Any, job: Prompt, latent: Tensor | None, **how: Any) -> Tensor:
        if latent is None:
            side = job.pixels // model.get_model_object("latent_format").spacial_downscale_ratio
            latent = comfy.sample.fix_empty_latent_channels(model, torch.zeros(1, 4, side, side))
        positive, negative = (
            node_helpers.conditioning_set_values(texts[text], {"guidance": job.guidance}) for text in (job.text, "")
        )
        noise = comfy.sample.prepare_noise(latent, job.seed)
        return sample_from(model, job, latent, noise, positive, negative, **how)

    def together(model: Any, work: list[Prompt], latent: Tensor | None = None, **how: Any) -> Tensor:
        latents = [None] * len(work) if latent is None else latent.split(1)
        return torch.cat([sample(model, job, each, **how) for job, each in zip(work, latents, strict=True)])

    return together


def decode(vae: Any, latent: Tensor) -> Tensor:
    """(B, 3, H, W) in [0, 1]; the first frame, where the VAE is one for video."""
    pixels = vae.decode(latent)
    return (pixels if pixels.ndim == 4 else pixels[:, 0]).movedim(-1, 1).clamp(0.0, 1.0).float()
