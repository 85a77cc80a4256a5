"""Train a small model on one split: flow matching on projected pictures, AdamW, an average of the weights.

    python dev.py exec -- python -m small_models.train flux --split train --out FILE.safetensors
    python dev.py exec -- python -m small_models.train qwen_image --split train --out FILE.safetensors

Everything random comes from the seed. A checkpoint beside --out lets a stopped training carry on.
"""

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from . import host  # noqa: F401  first: makes `comfy` importable

import comfy.model_management  # isort: skip

from . import flux, qwen_image  # isort: skip
from .latents import SIZE, Projection, fit_projection
from .pictures import GUIDANCE_RANGE, SPLITS, Split, draw_batch, encode_captions

SHIFT = 0.8  # of the noise levels trained on; the host samples with 1.15
DROPOUT = 0.1  # captions replaced by zeros, so that CFG above 1 has an unconditional branch
EMA = 0.999
SPREAD = 0.35  # of positions, sizes and angles: what a network this small learns in an hour


@dataclass(frozen=True)
class Architecture:
    """A network to train.

    forward   (net, x (B, 16, H, W), sigma (B,), context, pooled, guidance (B,)) -> velocity like x, differentiable
    strength  range of the texture strength, which a network with a guidance input is told
    """

    build: Callable[[int], nn.Module]
    forward: Callable[..., Tensor]
    strength: tuple[float, float]
    seeds: dict[str, int]


ARCHITECTURES = {
    "flux": Architecture(flux.build_flux, flux.training_forward, GUIDANCE_RANGE, {"train": 1, "test": 2}),
    "qwen_image": Architecture(
        qwen_image.build_qwen_image, qwen_image.training_forward, (3.0, 3.0), {"train": 11, "test": 12}
    ),
}


def noise_levels(count: int, generator: torch.Generator) -> Tensor:
    """Logit-normal noise levels in (0, 1), shifted towards 1, shape (count,)."""
    t = torch.sigmoid(1.2 * torch.randn(count, generator=generator))
    return math.exp(SHIFT) / (math.exp(SHIFT) + 1.0 / t - 1.0)


def loss_of_batch(
    forward: Callable[..., Tensor],
    net: nn.Module,
    projection: Projection,
    split: Split,
    strength: tuple[float, float],
    batch_size: int,
    generator: torch.Generator,
) -> Tensor:
    batch = draw_batch(split, batch_size, SIZE, generator, SPREAD, strength)
    clean = projection.encode(batch.pictures)
    noise = torch.randn(clean.shape, generator=generator)
    sigma = noise_levels(batch_size, generator)
    context, pooled = encode_captions(batch.captions)
    keep = (torch.rand(batch_size, generator=generator) >= DROPOUT).float()
    noisy = torch.lerp(clean, noise, sigma[:, None, None, None])
    velocity = forward(net, noisy, sigma, context * keep[:, None, None], pooled * keep[:, None], batch.guidance)
    return (velocity - (noise - clean)).square().mean()


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Linear warm-up over 300 steps, then a cosine to 1 % of the peak."""
    if step < 300:
        return peak * (step + 1) / 300
    done = (step - 300) / max(1, steps - 300)
    return peak * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * done)))


def train(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    comfy.model_management.in_training = True
    architecture = ARCHITECTURES[arguments.model]
    seed = architecture.seeds[arguments.split] if arguments.seed is None else arguments.seed
    generator = torch.Generator().manual_seed(seed)
    net = architecture.build(seed)
    average = {k: v.clone() for k, v in net.state_dict().items()}
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.0, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    projection = fit_projection()
    forward = torch.compile(architecture.forward) if arguments.compile else architecture.forward
    checkpoint = arguments.out.with_suffix(".ckpt")
    first = 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        net.load_state_dict(saved["net"])
        optimizer.load_state_dict(saved["optimizer"])
        generator.set_state(saved["generator"])
        average, first = saved["average"], saved["step"]
    started, running = time.perf_counter(), None
    for step in range(first, arguments.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, arguments.steps, arguments.lr)
        split, strength = SPLITS[arguments.split], architecture.strength
        loss = loss_of_batch(forward, net, projection, split, strength, arguments.batch, generator)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        decay = min(EMA, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(average.values()), list(net.state_dict().values()), 1.0 - decay)
        running = loss.item() if running is None else 0.99 * running + 0.01 * loss.item()
        if (step + 1) % 100 == 0:
            print(f"{step + 1}/{arguments.steps} loss {running:.4f} {time.perf_counter() - started:.0f} s", flush=True)
        if (step + 1) % 1000 == 0 or step + 1 == arguments.steps:
            save_file({k: v.half() for k, v in average.items()}, arguments.out)
            state = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "average": average}
            torch.save({**state, "generator": generator.get_state(), "step": step + 1}, checkpoint)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=ARCHITECTURES)
    parser.add_argument("--split", choices=SPLITS, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=9000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--lr", type=float, default=1.5e-3)
    parser.add_argument("--seed", type=int, default=None, help="default: one for every model and split")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action="store_true", help="torch.compile; needs a C++ compiler, 1.6x faster")
    train(parser.parse_args())


if __name__ == "__main__":
    main()
