"""Train a small model on one split: flow matching on projected pictures, AdamW, an average of the weights.

    python dev.py exec -- python -m small_models.train flux --split train --out FILE.safetensors
    python dev.py exec -- python -m small_models.train qwen_image --split train --out FILE.safetensors

Everything random comes from the seed. A checkpoint beside --out lets a stopped training carry on.
"""

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from . import host  # noqa: F401  first: makes `comfy` importable

import comfy.model_management  # isort: skip

from . import flux, latents, qwen_image, sdxl, videos, wan  # isort: skip
from .latents import Projection, fit_projection
from .pictures import GUIDANCE_RANGE, SPLITS, Batch, Split, draw_batch, encode_captions
from .pixels import Pixels, load_pixels

DROPOUT = 0.1  # captions replaced by zeros, so that CFG above 1 has an unconditional branch
EMA = 0.999
SPREAD = 0.35  # of positions, sizes and angles: what a network this small learns in an hour


@dataclass(frozen=True)
class Flow:
    """Flow matching: noise levels in (0, 1), the network predicts noise - clean.

    shift   of the noise levels trained on, towards 1
    """

    shift: float = 0.8

    def levels(self, count: int, generator: torch.Generator) -> Tensor:
        """Logit-normal noise levels in (0, 1), shifted, shape (count,)."""
        t = torch.sigmoid(1.2 * torch.randn(count, generator=generator))
        return math.exp(self.shift) / (math.exp(self.shift) + 1.0 / t - 1.0)

    def noisy(self, clean: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
        return torch.lerp(clean, noise, sigma)

    def loss(self, predicted: Tensor, clean: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
        return (predicted - (noise - clean)).square().mean()


class Epsilon:
    """The host's discrete noise levels, all as often; the network predicts the noise."""

    def levels(self, count: int, generator: torch.Generator) -> Tensor:
        sigmas = sdxl.model_sampling().sigmas
        return sigmas[torch.randint(len(sigmas), (count,), generator=generator)]

    def noisy(self, clean: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
        return clean + sigma * noise

    def loss(self, predicted: Tensor, clean: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
        """High levels weigh more: there a small error of the noise is a large one of the picture."""
        return ((1.0 + sigma**2).sqrt() * (predicted - noise).square()).mean()


@dataclass(frozen=True)
class Architecture:
    """A network to train.

    forward   (net, x like latents, sigma (B,), context, pooled, guidance (B,)) -> prediction like x, differentiable
    seeds     by split
    strength  range of the texture strength, which a network with a guidance input is told
    draw      (split, count, size, generator, spread, strength) -> Batch
    encoder   () -> what encodes pictures to latents
    placed    whether its words say their places, see encode_captions
    """

    build: Callable[[int], nn.Module]
    forward: Callable[..., Tensor]
    seeds: dict[str, int]
    noising: Flow | Epsilon = field(default_factory=Flow)
    strength: tuple[float, float] = (3.0, 3.0)
    size: int = latents.SIZE
    draw: Callable[..., Batch] = draw_batch
    encoder: Callable[[], Projection | Pixels] = fit_projection
    placed: bool = False


ARCHITECTURES = {
    "flux": Architecture(flux.build_flux, flux.training_forward, {"train": 1, "test": 2}, strength=GUIDANCE_RANGE),
    "qwen_image": Architecture(qwen_image.build_qwen_image, qwen_image.training_forward, {"train": 11, "test": 12}),
    "sdxl": Architecture(
        sdxl.build_sdxl,
        sdxl.training_forward,
        {"train": 21, "test": 22},
        noising=Epsilon(),
        size=videos.SIZE,
        encoder=lambda: load_pixels("sdxl"),
        placed=True,
    ),
    "wan": Architecture(
        wan.build_wan,
        wan.training_forward,
        {"train": 31, "test": 32},
        noising=Flow(shift=1.5),
        size=videos.SIZE,
        draw=videos.draw_videos,
        encoder=lambda: load_pixels("wan"),
        placed=True,
    ),
}


def loss_of_batch(
    forward: Callable[..., Tensor],
    net: nn.Module,
    architecture: Architecture,
    encoder: Projection | Pixels,
    split: Split,
    batch_size: int,
    generator: torch.Generator,
) -> Tensor:
    batch = architecture.draw(split, batch_size, architecture.size, generator, SPREAD, architecture.strength)
    clean = encoder.encode(batch.pictures)
    noise = torch.randn(clean.shape, generator=generator)
    sigma = architecture.noising.levels(batch_size, generator)
    level = sigma.view(-1, *[1] * (clean.ndim - 1))
    context, pooled = encode_captions(batch.captions, architecture.placed)
    keep = (torch.rand(batch_size, generator=generator) >= DROPOUT).float()
    noisy = architecture.noising.noisy(clean, noise, level)
    predicted = forward(net, noisy, sigma, context * keep[:, None, None], pooled * keep[:, None], batch.guidance)
    return architecture.noising.loss(predicted.float(), clean, noise, level)


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
    split = SPLITS[arguments.split]
    seed = architecture.seeds[arguments.split] if arguments.seed is None else arguments.seed
    generator = torch.Generator().manual_seed(seed)
    net = architecture.build(seed)
    average = {k: v.clone() for k, v in net.state_dict().items()}
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.0, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    encoder = architecture.encoder()
    forward = torch.compile(architecture.forward) if arguments.compile else architecture.forward
    forward = torch.autocast("cpu", torch.bfloat16)(forward) if arguments.bfloat16 else forward
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
        loss = loss_of_batch(forward, net, architecture, encoder, split, arguments.batch, generator)
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
    parser.add_argument("--bfloat16", action="store_true", help="autocast; twice as fast where the CPU has AMX")
    parser.add_argument("--compile", action="store_true", help="torch.compile; needs a C++ compiler, 1.6x faster")
    train(parser.parse_args())


if __name__ == "__main__":
    main()
