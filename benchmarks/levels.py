"""What each level holds in memory and what a skipped step costs, on models with levels; full-size models by formula.

    python dev.py exec -- python benchmarks/levels.py --out docs/benchmarks/levels.md

Seconds are medians within one run, so a computed and a skipped step are measured side by side.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch
from harness import latent_psnr, machine, name_of, write
from subjects import SUBJECTS, Subject
from tqdm import tqdm

from hicache_comfy import attach, last_report
from hicache_comfy.architectures import FLUX, QWEN_IMAGE, WAN, Architecture, BlockKind
from hicache_core import LEVELS, RunReport, Settings, presets
from hicache_core.metrics import psnr


@dataclass(frozen=True)
class Size:
    """What the formula needs: blocks by attribute of the network, tokens, channels, latent elements, conditions."""

    architecture: Architecture
    blocks: dict[str, int]
    image: int
    text: int  # 0 where no stream carries it
    channels: int
    latent: int
    conditions: int
    element: int  # bytes


def bytes_held(size: Size, level: str, anchors: int) -> int:
    """Formula: anchors * conditions * (latents in float32, or hidden states of all slots in the model's type).

    Of latents one more, of one condition, is held while a computed one is compared with its forecast.
    """
    if level == "output":
        return (anchors * size.conditions + 1) * size.latent * 4
    return anchors * size.conditions * _tokens(size, level) * size.channels * size.element


def _tokens(size: Size, level: str) -> int:
    if level == "stack":
        return size.image
    total = 0
    for kind in size.architecture.kinds:
        both = "txt" not in kind.streams  # then the image stream carries the text as well
        tokens = {"img": size.image + size.text * both, "txt": size.text}
        streams = kind.streams if level == "block" else _module_streams(kind)
        total += size.blocks[kind.attribute] * sum(tokens[stream] for stream in streams)
    if level == "block" and "txt" in size.architecture.kinds[-1].streams:
        total -= size.text  # of the last block only what leaves the stack is kept
    return total


def _module_streams(kind: BlockKind) -> list[str]:
    assert kind.modules is not None
    return [slot.stream for slot in kind.modules.slots]


SMALL = {
    "flux": Size(FLUX, {"double_blocks": 2, "single_blocks": 6}, 64, 4, 128, 16**3, 1, 4),
    "qwen_image": Size(QWEN_IMAGE, {"transformer_blocks": 5}, 64, 4, 128, 16**3, 2, 4),
    "wan": Size(WAN, {"blocks": 5}, 256, 0, 128, 16**2 * 8**2, 2, 4),
}
FULL = {
    "FLUX.1 dev, 1024x1024, bfloat16, 512 text tokens": Size(
        FLUX, {"double_blocks": 19, "single_blocks": 38}, 4096, 512, 3072, 16 * 128 * 128, 1, 2
    ),
    "Qwen-Image, 1024x1024, bfloat16, 64 text tokens, CFG": Size(
        QWEN_IMAGE, {"transformer_blocks": 60}, 4096, 64, 3072, 16 * 128 * 128, 2, 2
    ),
}


def settings_of(level: str) -> Settings:
    return replace(presets.paper(5), level=level)


def run(subject: Subject, job: Any, level: str) -> tuple[torch.Tensor, RunReport]:
    patched = attach(subject.model, settings_of(level))
    latent = subject.sample(patched, job)
    report = last_report(patched)
    assert report is not None
    return latent, report


def step_cost(reports: list[RunReport]) -> float:
    """Median seconds of a forecast evaluation over those of a computed one, over all runs."""
    ratios = []
    for report in reports:
        seconds: dict[str, list[float]] = {"computed": [], "forecast": []}
        for evaluation in report.evaluations[1:]:
            seconds[evaluation.action].append(evaluation.seconds)
        ratios.append(median(seconds["forecast"]) / median(seconds["computed"]))
    return median(ratios)


def measured(name: str, pictures: int, split: str) -> Iterator[str]:
    subject = SUBJECTS[name](split)
    decode = subject.decode
    assert decode is not None
    work = subject.jobs(pictures, steps=50, sampler="euler")
    full = [subject.full_run(job) for job in work]
    for level in tqdm(LEVELS, desc=name):
        latents, reports = zip(*(run(subject, job, level) for job in work), strict=True)
        near = mean(value for pair in zip(latents, full, strict=True) for value in latent_psnr(*pair))
        seen = mean(psnr(decode(one), decode(other)) for one, other in zip(latents, full, strict=True))
        found, formula = reports[0].bytes_held, bytes_held(SMALL[name], level, anchors=3)
        yield (
            f"| {name_of(subject)}, CFG {work[0].cfg:g} | {level} | {reports[0].calls} | {formula:,} | {found:,} "
            f"| {step_cost(list(reports)):.0%} | {near:.1f} | {seen:.1f} |"
        )


def by_formula() -> Iterator[str]:
    for name, size in FULL.items():
        sizes = " | ".join(f"{bytes_held(size, level, anchors=3) / 2**20:,.0f} MiB" for level in LEVELS)
        yield f"| {name} | {sizes} |"


HEADS = ("small model", "level", "calls", "bytes held, formula", "measured", "a forecast step costs")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=SMALL, default=list(SMALL))
    parser.add_argument("--split", choices=["train", "test"], default="test")
    parser.add_argument("--pictures", type=int, default=8)
    parser.add_argument("--out", type=Path, help="Markdown file; default: print only")
    arguments = parser.parse_args()
    with torch.no_grad():
        rows = [row for name in arguments.only for row in measured(name, arguments.pictures, arguments.split)]
    text = (
        f"{arguments.split} split, 50 steps of euler, the paper's settings with N 5 (12 calls) and order 2, "
        f"{arguments.pictures} pictures (seeds 1000 to {999 + arguments.pictures}), float32, {machine()}.\n\n"
        f"| {' | '.join(HEADS)} | latent PSNR, dB | picture PSNR, dB |\n"
        "|---|---|---|---|---|---|---|---|\n" + "\n".join(rows) + "\n\n"
        "By the same formula, not measured:\n\n"
        f"| model | {' | '.join(LEVELS)} |\n|---|---|---|---|---|\n" + "\n".join(by_formula()) + "\n"
    )
    write(text, arguments.out)


if __name__ == "__main__":
    main()
