"""Everything that benchmarks measure on: small trained models, analytic models without weights, and one of your own.

All of them are MODELs of the host and are sampled by its samplers. Pictures of a batch have seeds of their own.
"""

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from analytic_models import model as analytic
from analytic_models.mixture import Mixture
from small_models import sampling as small
from torch import Tensor

LAYOUTS = 16
PLAIN: dict[str, Any] = {"sampler": "euler", "scheduler": "simple", "cfg": 1.0}
ADDED = {"sampler": "dpmpp_2m_sde", "scheduler": "karras"}  # what users of models take to whose picture noise is added
SLOW = ("sdxl", "wan")


@dataclass(frozen=True)
class Subject:
    """A MODEL, and how pictures are sampled with it or with a patched copy of it.

    together   from a MODEL and jobs that differ in what is shown and in the seed only, their latents as one batch;
               latent and noise_mask, to inpaint, as comfy.sample.sample takes them
    jobs       from a number and what differs from the usual way, that many jobs: dataclasses with seed, steps, sampler,
               scheduler and cfg
    usual      sampler, scheduler and cfg of those who use such models
    scales     values of CFG that are measured
    decode     latents to pictures (B, 3, H, W) or videos (B, frames, 3, H, W) in [0, 1]; None: there are none
    """

    name: str
    model: Any
    together: Callable[..., Tensor]
    jobs: Callable[..., list[Any]]
    usual: dict[str, Any]
    scales: tuple[float, ...] = (1.0,)
    decode: Callable[[Tensor], Tensor] | None = None

    def sample(self, model: Any, job: Any) -> Tensor:
        return self.together(model, [job])

    def full_run(self, job: Any) -> Tensor:
        return self.sample(self.model, job)


def _trained(kind: str, load: Callable[[str], Any], scales: tuple[float, ...], split: str) -> Subject:
    """A trained model: settings are chosen on one split and reported on the other."""
    usual = {**PLAIN, **small.USUAL[kind], **(ADDED if kind == "sdxl" else {})}
    usual.pop("steps", None)

    def jobs(count: int, **how: Any) -> list[Any]:
        return small.jobs(split, count, **{**usual, **how})

    return Subject(f"small {kind}", load(split), small.sample_together, jobs, usual, scales, small.decode)


def _analytic(kind: str, layouts: int, side: int, split: str) -> Subject:
    """A model in closed form: on each split with another spectrum and other layouts."""
    slope, seed = {"train": (3.2, 5), "test": (3.6, 6)}[split]
    mixture = Mixture(side, slope, layouts, channels=4 if side < 256 else 1, seed=seed)
    flow = not kind.startswith("epsilon")
    usual = PLAIN if flow else PLAIN | ADDED

    def jobs(count: int, **how: Any) -> list[Any]:
        return analytic.jobs(count, **{**usual, **how})

    name = f"{'flow' if flow else 'epsilon'} {'mixture' if layouts > 1 else 'gaussian'} {side}x{side}"
    scales = (1.0, 3.0) if layouts > 1 else (1.0,)  # with one layout there is nothing for CFG to push away from
    return Subject(name, analytic.build(mixture, flow), analytic.sample_together, jobs, usual, scales)


# Loader and scales of CFG.
TRAINED: dict[str, tuple[Callable[[str], Any], tuple[float, ...]]] = {
    "flux": (small.load_flux, (1.0,)),
    "qwen_image": (small.load_qwen_image, (1.0, 4.0)),
    "sdxl": (small.load_sdxl, (1.0, 7.0)),
    "wan": (small.load_wan, (1.0, 5.0)),
}
# Layouts and sides.
ANALYTIC: dict[str, tuple[int, tuple[int, ...]]] = {
    "gaussian": (1, (64, 128, 256)),
    "mixture": (LAYOUTS, (16, 64, 128, 256)),
    "epsilon_gaussian": (1, (128,)),
    "epsilon_mixture": (LAYOUTS, (64, 128)),
}
# From a split, train or test, to a subject.
SUBJECTS: dict[str, Callable[[str], Subject]] = {
    **{kind: partial(_trained, kind, *row) for kind, row in TRAINED.items()},
    **{
        f"{kind}_{side}": partial(_analytic, kind, layouts, side)
        for kind, (layouts, sides) in ANALYTIC.items()
        for side in sides
    },
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """One subject, or a model of your own."""
    import checkpoint  # it imports this module

    parser.add_argument("--model", choices=SUBJECTS, default="flux")
    parser.add_argument("--split", choices=["train", "test"], default="test")
    checkpoint.add_options(parser)


def add_several(parser: argparse.ArgumentParser, default: Iterable[str] = tuple(SUBJECTS)) -> None:
    """Many subjects, each in a process of its own."""
    parser.add_argument("--only", nargs="+", choices=SUBJECTS, default=list(default), metavar="SUBJECT")
    parser.add_argument("--processes", type=int, default=1)


def subject_of(arguments: argparse.Namespace) -> Subject:
    """The model of your own that was named, or one of ours."""
    if arguments.checkpoint is not None:
        import checkpoint

        return checkpoint.subject(arguments)
    return SUBJECTS[arguments.model](arguments.split)
