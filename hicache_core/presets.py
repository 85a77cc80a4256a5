"""Settings by intention."""

from dataclasses import replace

from .basis import ANALYTIC
from .settings import RANGES, Settings


def speed(ratio: float) -> Settings:
    """Settings that compute one evaluation in ``ratio``: 1.0 computes all of them, 2.5 two out of five."""
    return Settings(schedule="budget", speed=ratio)


def adaptive(tolerance: float) -> Settings:
    """Settings that compute when forecasts would lead the latent off by about ``tolerance``, relative RMS."""
    return Settings(schedule="adaptive", tolerance=tolerance)


def paper(interval: int = 7, order: int = 2, contraction: float = 0.5, warmup_steps: int = 3) -> Settings:
    """HiCache exactly as published (arXiv 2508.16984): every attention and MLP output, even intervals, no
    corrector and no stabilizer.

    The paper's own choices: FLUX.1 dev N 7, O 2, c 0.5; schnell c 0.3; Qwen-Image N 7, O 3, c 0.5. Full steps of 50:
    18, 14, 12, 10, 9, 8, 7 for N 3, 4, 5, 6, 7, 8, 10.
    """
    return Settings(
        schedule="interval",
        interval=interval,
        warmup_steps=warmup_steps,
        level="module",
        basis="hermite",
        order=order,
        contraction=contraction,
        explosion_limit=RANGES["explosion_limit"][1],
        corrector=False,
        stabilizer=False,
    )


def analytic(interval: int = 7, order: int = 2, warmup_steps: int = 3) -> Settings:
    """HiCache-Analytic: the paper's settings with a contraction for every layer from the size of its trend."""
    return replace(paper(interval, order, warmup_steps=warmup_steps), basis=ANALYTIC)


def taylorseer(interval: int = 6, order: int = 1, warmup_steps: int = 3) -> Settings:
    """TaylorSeer (arXiv 2503.06923) at the same slots and steps; its published choice for FLUX is N 6, O 1."""
    return replace(paper(interval, order, warmup_steps=warmup_steps), basis="taylor")


def dual_taylor(interval: int = 7, order: int = 2, contraction: float = 0.5, warmup_steps: int = 3) -> Settings:
    """TaylorSeer with HiCache's dual scaling, the ablation of the paper."""
    return replace(paper(interval, order, contraction, warmup_steps), basis="dual_taylor")
