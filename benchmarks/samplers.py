"""Sampler by sampler: how close at the same number of calls, with and without what we add, and by fewer steps?

python dev.py exec -- python benchmarks/samplers.py --pictures 3 --out docs/benchmarks/samplers_flux.md
python dev.py exec -- python benchmarks/samplers.py --model qwen_image --cfg 4 --pictures 3 \\
    --samplers euler dpmpp_2m lms heun --out docs/benchmarks/samplers_qwen_image.md
"""

from dataclasses import replace
from typing import Any

import torch
from harness import (
    MODELS,
    Row,
    Subject,
    cached,
    fewer_steps,
    full_runs,
    heading,
    mean_and_worst,
    measure,
    option_parser,
    work_of,
    write,
)
from small_models.sampling import Job
from tqdm import tqdm

from hicache_core import presets

SAMPLERS = (
    *("euler", "ddim", "dpmpp_2m", "deis", "res_multistep", "uni_pc", "uni_pc_bh2"),  # corrected
    *("lms", "ipndm", "gradient_estimation", "heun", "dpm_2"),  # deterministic too
    *("er_sde", "euler_ancestral", "dpmpp_2s_ancestral", "dpmpp_sde", "dpmpp_2m_sde", "seeds_2", "euler_cfg_pp", "lcm"),
)
SPEEDS = (2.5, 5.0)


def row(subject: Subject, work: list[Job], sampler: str, ratio: float) -> str:
    references = full_runs(subject, work)
    settings = presets.speed(ratio)
    variants = (
        settings,
        replace(settings, corrector=False),
        replace(settings, stabilizer=False),
        replace(settings, corrector=False, stabilizer=False),
        replace(settings, basis="reuse"),
    )
    rows = [measure(cached("", variant), subject, work, references) for variant in variants]
    ours = rows[0]
    few = fewer(subject, work, ours, references)
    return f"| {sampler} | {ratio:g} | {ours.calls:.0f} | {cells(*rows, few)} |"


def fewer(subject: Subject, work: list[Job], ours: Row, references: Any) -> Row:
    """The most steps of the same sampler that cost no more calls than ``ours``."""
    sampler, steps = work[0].sampler, work[0].steps
    one = measure(fewer_steps(sampler, 10), subject, work[:1], references[:1]).calls / 10  # calls a step
    affordable = min(steps, max(2, int((ours.calls + 0.5) / one)))
    return measure(fewer_steps(sampler, affordable), subject, work, references)


def cells(*rows: Row) -> str:
    return " | ".join(mean_and_worst(r.latent) for r in rows)


def main() -> None:
    parser = option_parser(__doc__)
    parser.add_argument("--samplers", nargs="+", default=SAMPLERS)
    arguments = parser.parse_args()
    subject = Subject(MODELS[arguments.model](arguments.split))
    lines = [
        "| sampler | speed | calls | ours | no corrector | no stabilizer | neither | reuse | fewer steps |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    with torch.no_grad():
        for sampler in tqdm(arguments.samplers):
            work = work_of(arguments, sampler=sampler)
            lines += [row(subject, work, sampler, ratio) for ratio in SPEEDS]
    note = "Latent PSNR in dB to the full run of the same sampler, mean and (worst)."
    title = heading(arguments, f"{arguments.steps} steps of each sampler")
    write("\n".join([title, note, "", *lines, ""]), arguments.out)


if __name__ == "__main__":
    main()
