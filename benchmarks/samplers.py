"""Sampler by sampler: how close at the same number of calls, with and without what we add, and by fewer steps?

python dev.py exec -- python benchmarks/samplers.py --pictures 6 --out docs/benchmarks/samplers_flux.md
"""

from dataclasses import replace
from typing import Any

import torch
from harness import (
    MODELS,
    Row,
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


def row(model: Any, work: list[Job], sampler: str, ratio: float) -> str:
    references = full_runs(model, work)
    settings = presets.speed(ratio)
    ours, plain, free = (
        measure(cached("", s), model, work, references)
        for s in (settings, replace(settings, corrector=False), replace(settings, corrector=False, stabilizer=False))
    )
    few = fewer(model, work, ours, references)
    return f"| {sampler} | {ratio:g} | {ours.calls:.0f} | {cells(ours, plain, free, few)} |"


def fewer(model: Any, work: list[Job], ours: Row, references: Any) -> Row:
    """The most steps of the same sampler that cost no more calls than ``ours``."""
    sampler, steps = work[0].sampler, work[0].steps
    one = measure(fewer_steps(sampler, 10), model, work[:1], references[:1]).calls / 10  # calls a step
    affordable = min(steps, max(2, int((ours.calls + 0.5) / one)))
    return measure(fewer_steps(sampler, affordable), model, work, references)


def cells(*rows: Row) -> str:
    return " | ".join(mean_and_worst(r.latent) for r in rows)


def main() -> None:
    arguments = option_parser(__doc__).parse_args()
    model = MODELS[arguments.model](arguments.split)
    lines = [
        "| sampler | speed | calls | ours | no corrector | nor stabilizer | fewer steps |",
        "|---|---|---|---|---|---|---|",
    ]
    with torch.no_grad():
        for sampler in tqdm(SAMPLERS):
            work = work_of(arguments, sampler=sampler)
            lines += [row(model, work, sampler, ratio) for ratio in SPEEDS]
    note = "Latent PSNR in dB to the full run of the same sampler, mean and (worst)."
    title = heading(arguments, f"{arguments.steps} steps of each sampler")
    write("\n".join([title, note, "", *lines, ""]), arguments.out)


if __name__ == "__main__":
    main()
