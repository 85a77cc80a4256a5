"""Adaptive: does the tolerance say how near the picture comes, and do hard pictures get more calls than easy ones?

python dev.py exec -- python benchmarks/adaptive.py --pictures 64 --out docs/benchmarks/adaptive_flux.md
python dev.py exec -- python benchmarks/adaptive.py --model qwen_image --pictures 64 \\
    --out docs/benchmarks/adaptive_qwen_image.md

The first table: tolerances, over the first FEW pictures. The second: the pictures at the default tolerance, grouped by
the calls they got, beside *target speed* with as many calls as they got in the mean: what is hard for a fixed plan
should get more calls here.
"""

from dataclasses import dataclass
from statistics import mean, median
from typing import Any

import matplotlib.pyplot as plt
import torch
from harness import cached, full_runs, heading, how_of, measure, name_of, option_parser, work_of, write
from subjects import Subject, subject_of
from tqdm import tqdm

from hicache_core import Settings, presets

FEW = 16
TOLERANCES = (0.001, 0.002, 0.003, 0.005, 0.008, 0.012, 0.02, 0.03, 0.05)


@dataclass(frozen=True)
class Picture:
    calls: int
    psnr: float


def each(subject: Subject, work: list[Any], references: list[Any], settings: Settings) -> list[Picture]:
    rows = [
        measure(cached("", settings), subject, [job], [reference])
        for job, reference in zip(tqdm(work), references, strict=True)
    ]
    return [Picture(round(row.calls), row.latent[0]) for row in rows]


def by_tolerance(results: dict[float, list[Picture]]) -> list[str]:
    lines = ["| tolerance | calls: median (fewest - most) | PSNR: median (worst) |", "|---|---|---|"]
    for tolerance, pictures in results.items():
        calls, figures = [p.calls for p in pictures], [p.psnr for p in pictures]
        lines.append(
            f"| {tolerance:g} | {median(calls):.0f} ({min(calls)} - {max(calls)}) "
            f"| {median(figures):.1f} ({min(figures):.1f}) |"
        )
    return lines


def by_calls(adaptive: list[Picture], fixed: list[Picture]) -> list[str]:
    lines = [
        f"| calls | pictures | adaptive: mean (worst) | target speed, {fixed[0].calls} calls: mean (worst) |",
        "|---|---|---|---|",
    ]
    for calls in sorted({p.calls for p in adaptive}):
        pairs = [(a.psnr, f.psnr) for a, f in zip(adaptive, fixed, strict=True) if a.calls == calls]
        cells = " | ".join(f"{mean(values):.1f} ({min(values):.1f})" for values in zip(*pairs, strict=True))
        lines.append(f"| {calls} | {len(pairs)} | {cells} |")
    return lines


def summary(adaptive: list[Picture], fixed: list[Picture]) -> str:
    order = torch.tensor([[p.calls for p in adaptive], [-p.psnr for p in fixed]], dtype=torch.float64)
    return (
        f"Worst of {len(adaptive)}: {min(p.psnr for p in adaptive):.1f} dB, of target speed "
        f"{min(p.psnr for p in fixed):.1f} dB; means {mean(p.psnr for p in adaptive):.1f} and "
        f"{mean(p.psnr for p in fixed):.1f} dB. Correlation of the calls that a picture got with how much target speed "
        f"missed it by: {float(torch.corrcoef(order)[0, 1]):+.2f}."
    )


def draw(adaptive: list[Picture], fixed: list[Picture], path: str, title: str) -> None:
    """How many pictures got how many calls, and how near each came."""
    figure, (bars, dots) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    calls = [p.calls for p in adaptive]
    bars.hist(calls, bins=[k - 0.5 for k in range(min(calls), max(calls) + 2)], color="#2166ac", rwidth=0.85)
    bars.set(xlabel="network calls", ylabel="pictures")
    dots.scatter([p.psnr for p in fixed], calls, color="#2166ac", s=16)
    dots.set(xlabel=f"PSNR of target speed with {fixed[0].calls} calls, dB", ylabel="network calls of adaptive")
    for axis in (bars, dots):
        axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    arguments = option_parser(__doc__).parse_args()
    subject = subject_of(arguments)
    work = work_of(arguments, subject)
    with torch.no_grad():
        references = full_runs(subject, work)
        adaptive = each(subject, work, references, presets.adaptive(Settings().tolerance))
        calls = round(mean(p.calls for p in adaptive))
        fixed = each(subject, work, references, presets.speed(arguments.steps / calls))
        results = {t: each(subject, work[:FEW], references[:FEW], presets.adaptive(t)) for t in TOLERANCES}
    note = "Latent PSNR in dB to the full run."
    default = f"The default tolerance, {Settings().tolerance:g}:"
    parts = [heading(arguments, subject), note, "", f"The first {min(FEW, len(work))} pictures:", ""]
    parts += [*by_tolerance(results), "", default, "", *by_calls(adaptive, fixed), "", summary(adaptive, fixed), ""]
    write("\n".join(parts), arguments.out)
    if arguments.out is not None:
        cfg = how_of(arguments, subject)["cfg"]
        title = f"{name_of(subject)}, CFG {cfg:g}, tolerance {Settings().tolerance:g}"
        draw(adaptive, fixed, str(arguments.out.with_suffix(".png")), title)


if __name__ == "__main__":
    main()
