"""The corrector by sampler: on which ones does it bring the picture closer to the full run?

python dev.py exec -- python benchmarks/corrector.py --out benchmarks/results/corrector_test.md
python dev.py exec -- python benchmarks/corrector.py --model qwen_image --cfg 4 --out FILE
"""

import argparse
from dataclasses import replace
from statistics import mean
from typing import Any

import torch
from fidelity import MODELS, cached, fewer_steps, full_runs, heading, measure, output_parser, write
from small_models.sampling import Job, jobs
from tqdm import tqdm

from hicache_core import presets

SAMPLERS = ("euler", "ddim", "dpmpp_2m", "deis", "res_multistep", "uni_pc", "lms", "euler_ancestral", "dpmpp_2m_sde")
SPEEDS = (2.5, 5.0)


def row(model: Any, work: list[Job], sampler: str, ratio: float) -> str:
    references = full_runs(model, work)
    settings = presets.speed(ratio)
    candidates = (
        cached("without", replace(settings, corrector=False)),
        cached("with", settings),
        fewer_steps(sampler, round(work[0].steps / ratio)),
    )
    rows = [measure(method, model, work, references) for method in candidates]
    figures = " | ".join(f"{mean(r.latent_psnr):.1f}" for r in rows)
    return f"| {sampler} | {rows[1].calls:.0f} | {figures} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        parents=[output_parser()], description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments = parser.parse_args()
    arguments.sampler = "each sampler"
    model = MODELS[arguments.model](arguments.split)
    lines = ["| sampler | calls | without corrector, dB | with, dB | fewer steps, dB |", "|---|---|---|---|---|"]
    with torch.no_grad():
        for sampler in tqdm(SAMPLERS):
            work = jobs(arguments.split, arguments.pictures, steps=arguments.steps, cfg=arguments.cfg, sampler=sampler)
            lines += [row(model, work, sampler, ratio) for ratio in SPEEDS]
    note = "Latent PSNR to the full run of the same sampler, mean. Where both agree, the corrector does not run."
    write("\n".join([heading(arguments), note, "", *lines, ""]), arguments.out)


if __name__ == "__main__":
    main()
