"""A picture of what the small models draw, both splits in one: "pictures" shows drawn ones, the same through the VAE,
Flux and Qwen-Image; "sdxl" drawn ones, the same through its latents, and its own; "wan" every other frame of the same.

python dev.py exec -- python -m small_models.contact_sheet pictures --out docs/img/small_models_pictures.png
python dev.py exec -- python -m small_models.contact_sheet sdxl --out docs/img/small_models_sdxl.png
python dev.py exec -- python -m small_models.contact_sheet wan --count 3 --out docs/img/small_models_wan.png
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from . import videos
from .latents import SIZE
from .pictures import SPLITS, draw_batch
from .pixels import load_pixels
from .sampling import USUAL, decode, jobs, load_flux, load_qwen_image, load_sdxl, load_vae, load_wan, sample
from .train import SPREAD

STRENGTH = (3.0, 3.0)


def sampled(model: Any, name: str, split: str, count: int, steps: int | None) -> Tensor:
    """Pictures (count, 3, H, W) or videos as the model's users sample them, steps aside."""
    work = jobs(split, count, **USUAL[name])
    return torch.cat([decode(sample(model, job if steps is None else replace(job, steps=steps))) for job in work])


def pictures(split: str, count: int, steps: int | None) -> list[Tensor]:
    drawn = draw_batch(SPLITS[split], count, SIZE, torch.Generator().manual_seed(0), SPREAD).pictures
    through_vae = decode(load_vae().encode(drawn.movedim(1, -1)))
    flux = sampled(load_flux(split), "flux", split, count, steps)
    return [drawn, through_vae, flux, sampled(load_qwen_image(split), "qwen_image", split, count, steps)]


def sdxl(split: str, count: int, steps: int | None) -> list[Tensor]:
    drawn = draw_batch(SPLITS[split], count, videos.SIZE, torch.Generator().manual_seed(0), SPREAD, STRENGTH).pictures
    space = load_pixels("sdxl")
    return [drawn, space.decode(space.encode(drawn)), sampled(load_sdxl(split), "sdxl", split, count, steps)]


def wan(split: str, count: int, steps: int | None) -> list[Tensor]:
    """Every row is a video."""
    generator, space = torch.Generator().manual_seed(0), load_pixels("wan")
    (drawn,) = videos.draw_videos(SPLITS[split], 1, videos.SIZE, generator, SPREAD, STRENGTH).pictures
    (through,) = space.decode(space.encode(drawn[None]))
    return [row[1::2] for row in (drawn, through, *sampled(load_wan(split), "wan", split, count, steps))]


SHEETS = {"pictures": pictures, "sdxl": sdxl, "wan": wan}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sheet", choices=SHEETS)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--steps", type=int, default=None)
    parser.add_argument("--splits", nargs="+", choices=SPLITS, default=list(SPLITS))
    arguments = parser.parse_args()
    with torch.no_grad():
        rows = [row for s in arguments.splits for row in SHEETS[arguments.sheet](s, arguments.count, arguments.steps)]
    rows = [
        row.repeat_interleave(SIZE // row.shape[-1], -1).repeat_interleave(SIZE // row.shape[-1], -2) for row in rows
    ]
    sheet = torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((sheet * 255).round().byte().movedim(0, -1).numpy()).save(arguments.out)


if __name__ == "__main__":
    main()
