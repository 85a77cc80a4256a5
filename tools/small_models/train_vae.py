"""Train a TAESD-format VAE ("taef1") for the small Flux, on the pictures of both splits.

    python dev.py exec -- python -m small_models.train_vae --part decoder --out DIR
    python dev.py exec -- python -m small_models.train_vae --part encoder --out DIR

The encoder learns to imitate the fixed projection of latents.py, the decoder to undo it (with a little noise on its
input, because sampled latents are not perfect). Deterministic given the seed and one thread.
"""

import argparse
import math
import time
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from . import host  # noqa: F401  first: makes `comfy` importable

from comfy.taesd.taesd import Block, Decoder, Encoder  # isort: skip

from .latents import CHANNELS, PATCH, SIZE, Projection, fit_projection
from .pictures import SPLITS, draw_batch

CROP = 64
LATENT_NOISE = 0.03


def initialise(net: nn.Module) -> None:
    """Kaiming weights; the last convolution of a residual block starts small, so that blocks start near identity."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in net.modules():
        if isinstance(module, Block):
            module.conv[-1].weight.data.mul_(0.1)


def crops(projection: Projection, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Crops of pictures of both splits (B, 3, CROP, CROP) and their latents."""
    pictures = torch.cat([draw_batch(s, count // 2, SIZE, generator).pictures for s in SPLITS.values()])
    top, left = (PATCH * torch.randint((SIZE - CROP) // PATCH + 1, (2,), generator=generator)).tolist()
    pictures = pictures[:, :, top : top + CROP, left : left + CROP]
    return pictures, projection.encode(pictures)


def loss_of(part: str, net: nn.Module, pictures: Tensor, latents: Tensor, generator: torch.Generator) -> Tensor:
    if part == "encoder":
        return (net(pictures.contiguous(memory_format=torch.channels_last)) - latents).square().mean()
    noisy = latents + LATENT_NOISE * torch.randn(latents.shape, generator=generator)
    error = net(noisy.contiguous(memory_format=torch.channels_last)) - pictures
    return error.abs().mean() + 4.0 * error.square().mean()


def train(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    generator = torch.Generator().manual_seed(arguments.seed)
    net = (Encoder if arguments.part == "encoder" else Decoder)(latent_channels=CHANNELS)
    initialise(net)
    net = net.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.0, betas=(0.9, 0.99), fused=True)
    projection = fit_projection()
    started, running = time.perf_counter(), None
    for step in range(arguments.steps):
        warm = min(1.0, (step + 1) / 50)
        for group in optimizer.param_groups:
            group["lr"] = arguments.lr * warm * (0.01 + 0.495 * (1.0 + math.cos(math.pi * step / arguments.steps)))
        pictures, latents = crops(projection, arguments.batch, generator)
        loss = loss_of(arguments.part, net, pictures, latents, generator)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        running = loss.item() if running is None else 0.98 * running + 0.02 * loss.item()
        if (step + 1) % 50 == 0:
            print(f"{step + 1}/{arguments.steps} loss {running:.5f} {time.perf_counter() - started:.0f} s", flush=True)
        if (step + 1) % 250 == 0 or step + 1 == arguments.steps:
            weights = {k: v.half().contiguous() for k, v in net.state_dict().items()}
            save_file(weights, arguments.out / f"taef1_{arguments.part}.safetensors")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=["encoder", "decoder"], required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
