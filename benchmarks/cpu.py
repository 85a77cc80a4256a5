"""What HiCache costs beside the network, on any machine: the small models, and a network made of almost nothing.

    python dev.py exec -- python benchmarks/cpu.py --out docs/benchmarks/cpu.md
    python dev.py exec -- python benchmarks/cpu.py --quick        # under a minute; printed by `python dev.py test`

Seconds are those of the processor. With and without HiCache take turns for several rounds; of every step the fastest
round counts, because what others do on the machine only ever adds, and of all steps the median. "passed over" is what
the host itself spends on a step whose blocks do nothing: no forecast inside a network can cost less.
"""

import argparse
import importlib.util
import json
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import full_size
import sums
import torch
from small_models.sampling import jobs, load_flux, load_qwen_image
from small_models.sampling import sample as sample_job
from timed import run
from tiny_models import model as tiny
from tiny_models.rows import flux as flux_rows

import comfyui_version  # isort: skip
from comfy.patcher_extension import WrappersMP  # isort: skip

from hicache_comfy import attach, last_report
from hicache_comfy.architectures import architecture_of
from hicache_core import LEVELS, Settings, presets

REPO = Path(__file__).resolve().parents[1]
Sample = Callable[[Any, Callable[..., None]], Any]
Row = dict[str, Any]


def typical(rounds: list[list[float]]) -> float:
    """Milliseconds, from the seconds of every step in each of several equal runs."""
    return 1e3 * median(map(min, zip(*rounds, strict=True)))


def passed_over(model: Any) -> Any:
    """A clone in which the host calls its embedders and last layer, and every block returns what it was given."""
    clone, network = model.clone(), model.model.diffusion_model
    for kind, index in architecture_of(network).places(network):
        clone.set_model_patch_replace(lambda args, _: args, "dit", kind.name, index)
    return clone


def by_level(name: str, model: Any, sample: Sample, rounds: int) -> Iterator[Row]:
    """What a step costs at every level, against the network's own."""
    ways = {level: replace(presets.speed(2.5), level=level) for level in LEVELS}
    plain: list[list[float]] = []
    over: list[list[float]] = []
    found: dict[str, list[Row]] = {level: [] for level in LEVELS}
    run(model, None, sample)
    for _ in range(rounds):
        plain.append(run(model, None, sample)["computed"])
        over.append(run(passed_over(model), None, sample)["computed"])
        for level, settings in ways.items():
            found[level].append(run(model, settings, sample))
    for level, runs in found.items():
        computed, forecast = (typical([one[what] for one in runs]) for what in ("computed", "forecast"))
        yield {
            "network": name,
            "level": level,
            "step": typical(plain),
            "overhead": computed / typical(plain) - 1.0,
            "forecast": forecast,
            "share": forecast / typical(plain),
            "passed over": 0.0 if level == "output" else typical(over),
            "held": runs[0]["held"],
        }


def thin(side: int, batch: int) -> tuple[Any, Sample]:
    """A network of almost nothing on a latent of ``side`` cells: its forecast steps are HiCache and the sampler."""
    blocks = dict(flux_rows.FLUX, depth=1, depth_single_blocks=1, patch_size=8)
    row = replace(flux_rows.ROWS[0], unet=blocks, latent=(1, 16, side, side))
    return row.build(), lambda model, mark: tiny.sample(model, row, steps=24, batch=batch, callback=mark)


def deep() -> tuple[Any, Sample]:
    """All 57 blocks of FLUX.1 dev with next to no width: what is left of a step is little more than Python and the
    start of operations."""
    row = full_size.FULL[0].row
    unet = dict(row.unet, hidden_size=48, num_heads=2, axes_dim=[8, 8, 8], context_in_dim=64)
    row = replace(row, unet=unet, latent=(1, 16, 8, 8), context=(16, 64))
    return row.build(), lambda model, mark: tiny.sample(model, row, steps=20, callback=mark)


class Around:
    """Seconds that an evaluation takes outside the host's way to the network: guidance, and HiCache at level output."""

    def __init__(self, model: Any, settings: Settings | None, sample: Sample) -> None:
        self._own: list[float] = []
        self._inside = 0.0
        watched = model.clone()
        watched.add_wrapper_with_key(WrappersMP.PREDICT_NOISE, "around", self._outer)  # the first is the outermost
        patched = watched if settings is None else attach(watched, settings)
        patched.add_wrapper_with_key(WrappersMP.CALC_COND_BATCH, "around", self._inner)
        sample(patched, lambda *_: None)
        report = last_report(patched)
        actions = ["computed"] * len(self._own) if report is None else [e.action for e in report.evaluations]
        self.by_action = {
            kind: [s for s, action in zip(self._own, actions, strict=True) if action == kind] for kind in set(actions)
        }

    def _outer(self, executor: Any, *args: Any, **kwargs: Any) -> Any:
        self._inside, started = 0.0, time.process_time()
        result = executor(*args, **kwargs)
        self._own.append(time.process_time() - started - self._inside)
        return result

    def _inner(self, executor: Any, *args: Any, **kwargs: Any) -> Any:
        started = time.process_time()
        result = executor(*args, **kwargs)
        self._inside += time.process_time() - started
        return result


def ours(name: str, model: Any, sample: Sample, rounds: int) -> Row:
    """Milliseconds of HiCache itself at level output, by kind of step: what is left of the host's own is taken off."""
    run(model, None, sample)
    own: list[list[float]] = []
    step: list[list[float]] = []
    found: dict[str, list[list[float]]] = {"computed": [], "forecast": []}
    for _ in range(rounds):
        own.append(Around(model, None, sample).by_action["computed"])
        step.append(run(model, None, sample)["computed"])
        patched = Around(model, presets.speed(2.5), sample).by_action
        for kind, seconds in found.items():
            seconds.append(patched[kind])
    computed, forecast = (typical(found[kind]) - typical(own) for kind in ("computed", "forecast"))
    return {
        "network": name,
        "computed": computed,
        "forecast": forecast,
        "step": typical(step),
        "overhead": computed / typical(step),
    }


GROWTH: dict[str, tuple[int, int, Settings]] = {
    "latent 32 x 32": (32, 1, presets.speed(4.0)),
    "latent 64 x 64": (64, 1, presets.speed(4.0)),
    "latent 128 x 128, as of a picture of 1024 x 1024": (128, 1, presets.speed(4.0)),
    "the same, batch of 2": (128, 2, presets.speed(4.0)),
    "the same, batch of 4": (128, 4, presets.speed(4.0)),
    "order 2, 3 anchors": (128, 1, replace(presets.speed(4.0), order=2)),
    "order 3, 4 anchors": (128, 1, replace(presets.speed(4.0), order=3)),
    "chebyshev, 10 anchors": (128, 1, replace(presets.speed(2.0), basis="chebyshev")),
    "no corrector, no stabilizer": (128, 1, replace(presets.speed(4.0), corrector=False, stabilizer=False)),
}


def growth(quick: bool) -> Iterator[Row]:
    """A forecast step at level output, all of it with the sampler's own part."""
    for name, (side, batch, settings) in GROWTH.items():
        if not quick or name in ("latent 32 x 32", "latent 128 x 128, as of a picture of 1024 x 1024"):
            model, sample = thin(side, batch)
            run(model, settings, sample)
            results = [run(model, settings, sample) for _ in range(rounds_of(quick))]
            forecast = typical([one["forecast"] for one in results])
            yield {"what": name, "forecast": forecast, "held": results[0]["held"]}


def import_milliseconds(times: int = 5) -> float:
    """The pack's modules, from their compiled files, when the host's are there; the smallest of several."""
    return min(_import_once(f"import_{number}") for number in range(times))


def _import_once(name: str) -> float:
    spec = importlib.util.spec_from_file_location(name, REPO / "__init__.py", submodule_search_locations=[str(REPO)])
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    started = time.process_time()
    spec.loader.exec_module(module)
    seconds = time.process_time() - started
    for loaded in [one for one in sys.modules if one.partition(".")[0] == name]:
        del sys.modules[loaded]
    return 1e3 * seconds


def networks(quick: bool) -> Iterator[tuple[str, Any, Sample]]:
    steps = 12 if quick else 50
    for name, load, cfg in (("small Flux", load_flux, 1.0), ("small Qwen-Image, CFG 4", load_qwen_image, 4.0)):
        (job,) = jobs("test", 1, steps=steps, cfg=cfg)
        yield name, load("test"), lambda model, mark, job=job: sample_job(model, job, mark)


def rounds_of(quick: bool) -> int:
    return 1 if quick else 5


def measure(quick: bool) -> dict[str, Any]:
    inside = [*networks(quick), *([] if quick else [(DEEP, *deep())])]
    levels = [row for subject in inside for row in by_level(*subject, rounds_of(quick))]
    subjects = [*networks(quick), ("almost nothing, latent 128 x 128", *thin(128, 1))]
    return {
        "machine": f"{platform.machine()} CPU with {torch.get_num_threads()} thread(s), Python "
        f"{platform.python_version()}, torch {torch.__version__}, ComfyUI {comfyui_version.__version__}",
        "command": " ".join(sys.argv),
        "rounds": rounds_of(quick),
        "levels": levels,
        "ours": [ours(*subject, rounds_of(quick)) for subject in subjects],
        "growth": list(growth(quick)),
        "sums": [] if quick else [row for dtype in DTYPES for row in sums.rows((1, 4096, 768), dtype)],
        "import": import_milliseconds(),
    }


DEEP = "57 blocks of FLUX.1 dev, 48 channels"
DTYPES = (torch.float32, torch.bfloat16)


def document(data: dict[str, Any]) -> str:
    lines = [
        f"{data['machine']}; seconds of the processor, of every step the fastest of {data['rounds']} rounds, and of "
        "those the median; percents have a few of noise.\n",
        f"`{data['command']}`\n",
        "| network | level | its own step, ms | overhead of a computed step | a forecast step, ms | of its own step "
        "| passed over, ms | held, KiB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in data["levels"]:
        over = f"{row['passed over']:.2f}" if row["passed over"] else "none"
        lines.append(
            f"| {row['network']} | {row['level']} | {row['step']:.2f} | {row['overhead']:+.1%} | {row['forecast']:.2f} "
            f"| {row['share']:.1%} | {over} | {row['held'] / 1024:.0f} |"
        )
    lines += ["", "| HiCache alone, at level output | in a computed step, ms | of the step | in a forecast step, ms |"]
    lines += ["|---|---|---|---|"]
    lines += [
        f"| {row['network']} | {row['computed']:.3f} | {row['overhead']:.2%} | {row['forecast']:.3f} |"
        for row in data["ours"]
    ]
    lines += ["", "| a forecast step at level output | ms, with the sampler's own part | held, KiB |", "|---|---|---|"]
    lines += [f"| {row['what']} | {row['forecast']:.2f} | {row['held'] / 1024:.0f} |" for row in data["growth"]]
    if data["sums"]:
        lines += ["", "| weighted_sum of 1 x 4096 x 768 | anchors | of a copy of as many bytes | step by step |"]
        lines += ["|---|---|---|---|"]
    for row in data["sums"]:
        times = row["milliseconds"]
        ours, naive = (times[name] / times["copy"] for name in ("weighted_sum", "step by step"))
        lines.append(f"| {row['dtype']} | {row['anchors']} | {ours:.2f} | {naive:.2f} |")
    return "\n".join([*lines, "", f"Importing the pack, beyond the host's own modules: {data['import']:.0f} ms.", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a short table in under a minute")
    parser.add_argument("--out", type=Path, help="Markdown file; default: print only")
    parser.add_argument("--json", type=Path, help="the same figures for limits.py")
    arguments = parser.parse_args()
    with torch.no_grad():
        data = measure(arguments.quick)
    text = document(data)
    print(text)
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")
    if arguments.json:
        arguments.json.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
