"""The few constants of corrector and stabilizer that no formula gives, one at a time, against what is shipped.

python dev.py exec -- python benchmarks/constants.py --pictures 4 --out docs/benchmarks/constants.md

Gains in latent PSNR, in the mean over runs, speeds and pictures; apart for every second subject, so that a value shows
that is good for the subjects only that it was chosen on. Subjects are sampled with their usual scheduler and CFG, all
pictures of a run as one batch.
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any

from harness import in_processes, latent_psnr, machine, write
from subjects import SLOW, SUBJECTS, Subject, add_several

from hicache_comfy import attach
from hicache_core import corrector, presets, trust

SAMPLERS = ("euler", "res_multistep")
STEPS = (25, 50)
SPEEDS = (2.0, 4.0)


@contextmanager
def swapped(module: Any, name: str, value: Any) -> Iterator[None]:
    """Within it the module has another value; sessions look it up when they need it."""
    shipped = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, shipped)


def response(value: float) -> AbstractContextManager[None]:
    return swapped(corrector, "RESPONSE", value)


def share_of_unknown(value: float) -> AbstractContextManager[None]:
    own = trust._share
    return swapped(trust, "_share", lambda ratio: value if ratio is None else own(ratio))


def largest_share(value: float) -> AbstractContextManager[None]:
    own = trust._share
    return swapped(trust, "_share", lambda ratio: min(value, own(ratio)))


def undo_of_unknown(value: float) -> AbstractContextManager[None]:
    def undo(trend: trust.Trend) -> tuple[float, ...]:
        pairs = zip(trend.ratios, trend.changes, strict=True)
        return tuple(min(1.0 if ratio is not None else value, trust._undo(ratio, change)) for ratio, change in pairs)

    return swapped(trust.Trend, "undo", property(undo))


def alternation(value: float) -> AbstractContextManager[None]:
    return swapped(trust, "ALTERNATION", value)


def doubt(value: float) -> AbstractContextManager[None]:
    return swapped(trust, "DOUBT", value)


@dataclass(frozen=True)
class Constant:
    name: str
    shipped: float
    values: tuple[float, ...]
    use: Callable[[float], AbstractContextManager[None]]


CONSTANTS = (
    Constant("corrector: RESPONSE", corrector.RESPONSE, (0.0, 0.25, 0.5, 0.75, 1.0), response),
    Constant("stabilizer: share of a trend while unknown", trust._share(None), (0.0, 0.25, 0.5), share_of_unknown),
    Constant("stabilizer: largest share", trust._share(9.0), (0.8, 1.0), largest_share),
    Constant("stabilizer: most undone while unknown", trust._undo(None, 0.0), (0.0, 0.5, 1.0), undo_of_unknown),
    Constant("stabilizer: ALTERNATION", trust.ALTERNATION, (0.0, 1.0, 2.0, 4.0), alternation),
    Constant("stabilizer: DOUBT", trust.DOUBT, (1.0, 1.5, 2.0, 4.0), doubt),
)
Choice = tuple[str, float]  # a constant and its value


def tried() -> Iterator[tuple[Choice, Callable[[], AbstractContextManager[None]]]]:
    for constant in CONSTANTS:
        for value in constant.values:
            if value != constant.shipped:
                yield (constant.name, value), lambda constant=constant, value=value: constant.use(value)


def gains_of(name: str, split: str, pictures: int) -> dict[Choice, float]:
    """Mean gain of every choice on one subject."""
    subject = SUBJECTS[name](split)
    gains: dict[Choice, list[float]] = {choice: [] for choice, _ in tried()}
    for sampler, steps in product(SAMPLERS, STEPS):
        work = subject.jobs(pictures, sampler=sampler, steps=steps)
        full = subject.together(subject.model, work)
        for speed in SPEEDS:
            shipped = near(subject, work, full, speed)
            for choice, use in tried():
                with use():
                    gains[choice].append(near(subject, work, full, speed) - shipped)
    return {choice: mean(values) for choice, values in gains.items()}


def near(subject: Subject, work: list[Any], full: Any, speed: float) -> float:
    """Mean PSNR of a run at this speed to the full one."""
    return mean(latent_psnr(subject.together(attach(subject.model, presets.speed(speed)), work), full))


def table(gains: dict[str, dict[Choice, float]]) -> list[str]:
    heads = ("constant", "value", "1st, 3rd ... subject", "2nd, 4th ... subject", "worst subject")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    halves = list(gains)[::2], list(gains)[1::2]
    for constant in CONSTANTS:
        for value in constant.values:
            if value == constant.shipped:
                lines.append(f"| {constant.name} | **{value:g}** | | | |")
                continue
            choice = constant.name, value
            worst = min(gains, key=lambda name, choice=choice: gains[name][choice])
            cells = [f"{mean(gains[name][choice] for name in half):+.2f}" if half else "" for half in halves]
            lines.append(f"| {constant.name} | {value:g} | {' | '.join(cells)} | {gains[worst][choice]:+.2f} {worst} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_several(parser, [name for name in SUBJECTS if name not in SLOW])
    parser.add_argument("--split", choices=["train", "test"], default="train")
    parser.add_argument("--pictures", type=int, default=4)
    parser.add_argument("--out", type=Path, help="Markdown file; default: print only")
    arguments = parser.parse_args()
    found = in_processes(gains_of, arguments.only, arguments.processes, arguments.split, arguments.pictures)
    gains = dict(zip(arguments.only, found, strict=True))
    samplers, steps, speeds = (" and ".join(map("{}".format, some)) for some in (SAMPLERS, STEPS, SPEEDS))
    note = (
        f"{machine()}.\n\n{arguments.split} split, {arguments.pictures} pictures (seeds 1000 to "
        f"{999 + arguments.pictures}); {samplers}, {steps} steps, speeds {speeds}. Gain in latent PSNR over what is "
        f"shipped (bold), in dB, in the mean over the subjects: {', '.join(gains)}.\n"
    )
    write("\n".join([note, *table(gains), ""]), arguments.out)


if __name__ == "__main__":
    main()
