"""Sampler by sampler: how close at the same number of calls, with and without what we add, and by fewer steps?

python dev.py exec -- python benchmarks/samplers.py --pictures 8 --out docs/benchmarks/samplers_flux.md
python dev.py exec -- python benchmarks/samplers.py --model qwen_image --pictures 8 \\
    --out docs/benchmarks/samplers_qwen_image.md

All pictures of a cell are sampled as one batch.
"""

from dataclasses import replace
from typing import Any

import torch
from harness import counted_calls, heading, latent_psnr, mean_and_worst, option_parser, work_of, write
from subjects import Subject, subject_of
from torch import Tensor
from tqdm import tqdm

from hicache_comfy import attach
from hicache_core import Settings, presets

SAMPLERS = (
    *("euler", "ddim", "dpmpp_2m", "deis", "res_multistep", "uni_pc", "uni_pc_bh2"),  # corrected
    *("lms", "ipndm", "ipndm_v", "gradient_estimation"),  # corrected too
    *("heun", "dpm_2"),  # without noise
    *("er_sde", "euler_ancestral", "dpmpp_2s_ancestral", "dpmpp_sde", "dpmpp_2m_sde", "seeds_2", "euler_cfg_pp", "lcm"),
)
SPEEDS = (2.5, 5.0)


def variants(settings: Settings) -> list[Settings]:
    """Ours, then with parts taken away, in the order of the columns."""
    return [
        settings,
        replace(settings, corrector=False),
        replace(settings, stabilizer=False),
        replace(settings, corrector=False, stabilizer=False),
        replace(settings, basis="reuse"),
    ]


def fewer(subject: Subject, work: list[Any], full_calls: int, calls: int) -> Tensor:
    """The most steps of the same sampler that cost no more than ``calls``."""
    steps = work[0].steps
    affordable = min(steps, max(2, int((calls + 0.5) * steps / full_calls)))
    return subject.together(subject.model, [replace(job, steps=affordable) for job in work])


def rows(subject: Subject, work: list[Any]) -> list[str]:
    model, together = subject.model, subject.together
    with counted_calls(model) as full_calls:
        full = together(model, work)
    lines = []
    for ratio in SPEEDS:
        ours, *others = variants(presets.speed(ratio))
        with counted_calls(model) as calls:
            latents = [together(attach(model, ours), work)]
        latents += [together(attach(model, other), work) for other in others]
        latents.append(fewer(subject, work, full_calls[0], calls[0]))
        figures = [mean_and_worst(latent_psnr(latent, full)) for latent in latents]
        lines.append(f"| {work[0].sampler} | {ratio:g} | {calls[0]} | {' | '.join(figures)} |")
    return lines


def main() -> None:
    parser = option_parser(__doc__)
    parser.add_argument("--samplers", nargs="+", default=SAMPLERS)
    arguments = parser.parse_args()
    subject = subject_of(arguments)
    lines = [
        "| sampler | speed | calls | ours | no corrector | no stabilizer | neither | reuse | fewer steps |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    with torch.no_grad():
        for sampler in tqdm(arguments.samplers):
            lines += rows(subject, work_of(arguments, subject, sampler=sampler))
    note = "Latent PSNR in dB to the full run of the same sampler, mean and (worst)."
    title = heading(arguments, subject, "each sampler")
    write("\n".join([title, note, "", *lines, ""]), arguments.out)


if __name__ == "__main__":
    main()
