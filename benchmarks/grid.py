"""Does *target speed* ever lose to fewer steps? Every speed, step count and sampler, no cell left out.

python dev.py exec -- python benchmarks/grid.py --out docs/benchmarks/grid_flux.md
python dev.py exec -- python benchmarks/grid.py --model qwen_image --cfg 4 --out docs/benchmarks/grid_qwen_image.md
"""

from statistics import mean

import torch
from harness import (
    MODELS,
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
from tqdm import tqdm

from hicache_core import presets

SAMPLERS = ("euler", "dpmpp_2m", "res_multistep", "deis")
STEPS = (20, 28, 50)
SPEEDS = (1.5, 2.0, 2.5, 3.0, 4.0, 5.0)


def main() -> None:
    arguments = option_parser(__doc__).parse_args()
    model = MODELS[arguments.model](arguments.split)
    lines = [
        "| steps | sampler | speed | calls | ours | fewer steps | best sampler with fewer steps | ahead of both by |",
        "|---|---|---|---|---|---|---|---|",
    ]
    with torch.no_grad():
        for steps in STEPS:
            for sampler in tqdm(SAMPLERS):
                work = work_of(arguments, steps=steps, sampler=sampler)
                references = full_runs(model, work)
                for ratio in SPEEDS:
                    ours = measure(cached("", presets.speed(ratio)), model, work, references)
                    fewer = {s: measure(fewer_steps(s, round(ours.calls)), model, work, references) for s in SAMPLERS}
                    best = max(fewer, key=lambda s: mean(fewer[s].latent))
                    ahead = mean(ours.latent) - mean(fewer[best].latent)
                    cells = [steps, sampler, f"{ratio:g}", f"{ours.calls:.0f}", mean_and_worst(ours.latent)]
                    cells += [mean_and_worst(fewer[sampler].latent), f"{mean_and_worst(fewer[best].latent)} {best}"]
                    lines.append(f"| {' | '.join(map(str, cells))} | {ahead:+.1f} |")
    note = "Latent PSNR in dB to the full run of the same sampler, mean and (worst)."
    write("\n".join([heading(arguments, "each sampler and step count"), note, "", *lines, ""]), arguments.out)


if __name__ == "__main__":
    main()
