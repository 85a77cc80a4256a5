"""One picture of both splits: drawn, through the VAE, sampled by the small Flux and by the small Qwen-Image.

python dev.py exec -- python -m small_models.contact_sheet --out docs/img/small_models_pictures.png
"""

import argparse
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from .latents import SIZE
from .pictures import SPLITS, draw_batch
from .sampling import decode, jobs, load_flux, load_qwen_image, load_vae, sample
from .train import SPREAD


def rows_of(split: str, count: int, steps: int) -> list[Tensor]:
    """Four rows (count, 3, H, W): drawn, decoded from their encoding, sampled by each model."""
    drawn = draw_batch(SPLITS[split], count, SIZE, torch.Generator().manual_seed(0), SPREAD).pictures
    through_vae = decode(load_vae().encode(drawn.movedim(1, -1)))
    flux = [decode(sample(load_flux(split), job)) for job in jobs(split, count, steps=steps)]
    qwen = [decode(sample(load_qwen_image(split), job)) for job in jobs(split, count, steps=steps, cfg=4.0)]
    return [drawn, through_vae, torch.cat(flux), torch.cat(qwen)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--steps", type=int, default=50)
    arguments = parser.parse_args()
    with torch.no_grad():
        rows = [row for split in SPLITS for row in rows_of(split, arguments.count, arguments.steps)]
    sheet = torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((sheet * 255).round().byte().movedim(0, -1).numpy()).save(arguments.out)


if __name__ == "__main__":
    main()
