"""Guidance nodes and masks: is the corrector right behind them, and the stabilizer? Against fewer steps.

python dev.py exec -- python benchmarks/guidance.py --model qwen_image --out docs/benchmarks/guidance_qwen_image.md
python dev.py exec -- python benchmarks/guidance.py --cfg 2 --out docs/benchmarks/guidance_flux.md

The nodes are the host's own, with their default values. All pictures of a row are sampled as one batch.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from harness import counted_calls, heading, latent_psnr, mean_and_worst, option_parser, work_of, write
from subjects import Subject, subject_of
from torch import Tensor
from tqdm import tqdm

import comfy_extras.nodes_apg as apg  # isort: skip
import comfy_extras.nodes_cfg as cfg_nodes  # isort: skip
import comfy_extras.nodes_mahiro as mahiro  # isort: skip
import comfy_extras.nodes_model_advanced as advanced  # isort: skip
import comfy_extras.nodes_tcfg as tcfg  # isort: skip

from hicache_comfy import attach
from hicache_core import presets

SPEEDS = (2.5, 5.0)


@dataclass(frozen=True)
class Case:
    name: str
    guide: Callable[[Any], Any] = lambda model: model
    inpaint: bool = False


CASES = (
    Case("plain CFG"),
    Case("RescaleCFG 0.7", lambda model: advanced.RescaleCFG().patch(model, 0.7)[0]),
    Case("APG", lambda model: apg.APG.execute(model, eta=1.0, norm_threshold=5.0, momentum=0.0)[0]),
    Case("APG, momentum -0.5", lambda model: apg.APG.execute(model, eta=0.0, norm_threshold=5.0, momentum=-0.5)[0]),
    Case("CFGNorm", lambda model: cfg_nodes.CFGNorm.execute(model, strength=1.0)[0]),
    Case("CFGZeroStar", lambda model: cfg_nodes.CFGZeroStar.execute(model)[0]),
    Case("TCFG", lambda model: tcfg.TCFG.execute(model)[0]),
    Case("Mahiro", lambda model: mahiro.Mahiro.execute(model)[0]),
    Case("inpainting, half masked", inpaint=True),
)


class Bench:
    """One case: how it is sampled, and its full run."""

    def __init__(self, case: Case, subject: Subject, work: list[Any]) -> None:
        self._guide, self._subject, self._work = case.guide, subject, work
        self._how: dict[str, Tensor] = {}
        if case.inpaint:  # the right half of pictures with other captions
            latent = subject.together(subject.model, work[1:] + work[:1])
            mask = torch.zeros(1, *latent.shape[-2:])
            mask[..., latent.shape[-1] // 2 :] = 1.0
            self._how = {"latent": latent, "noise_mask": mask}
        with counted_calls(subject.model) as calls:
            self._full = self.sample(work[0].steps)
        self._per_step = calls[0] / work[0].steps

    def sample(self, steps: int, settings: Any = None) -> Tensor:
        model = self._guide(self._subject.model)
        work = [replace(job, steps=steps) for job in self._work]
        model = model if settings is None else attach(model, settings)
        return self._subject.together(model, work, **self._how)

    def score(self, latents: Tensor) -> str:
        return mean_and_worst(latent_psnr(latents, self._full))

    def row(self, ratio: float) -> str:
        settings = presets.speed(ratio)
        with counted_calls(self._subject.model) as calls:
            ours = self.sample(self._work[0].steps, settings)
        variants = (replace(settings, corrector=False), replace(settings, stabilizer=False))
        others = [self.sample(self._work[0].steps, variant) for variant in variants]
        figures = map(self.score, (ours, *others, self.sample(int(calls[0] / self._per_step))))
        return f"{ratio:g} | {calls[0]} | {' | '.join(figures)}"


def main() -> None:
    arguments = option_parser(__doc__).parse_args()
    subject = subject_of(arguments)
    lines = [
        "| guidance | speed | calls | ours | no corrector | no stabilizer | fewer steps |",
        "|---|---|---|---|---|---|---|",
    ]
    with torch.no_grad():
        for case in tqdm(CASES):
            bench = Bench(case, subject, work_of(arguments, subject))
            lines += [f"| {case.name} | {bench.row(ratio)} |" for ratio in SPEEDS]
    note = "Latent PSNR in dB to the full run with the same node, mean and (worst)."
    write("\n".join([heading(arguments, subject), note, "", *lines, ""]), arguments.out)


if __name__ == "__main__":
    main()
