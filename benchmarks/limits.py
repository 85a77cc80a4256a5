"""The targets of docs/benchmarks/limits.md beside what was measured, from the result files of the other benchmarks.

    python dev.py exec -- python benchmarks/limits.py

It measures nothing and needs no ComfyUI. A GPU's figures are read from benchmarks/results/gpu.json, once there is one.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gpu_table import BASE, summary

REPO = Path(__file__).resolve().parents[1]
RESULTS, PAGES = REPO / "benchmarks" / "results", REPO / "docs" / "benchmarks"
WAITING = "waits for a GPU"
FULL_FLUX = "FLUX.1 dev (12 B), 1024x1024, 50 steps"

Data = dict[str, Any]
HOLDS = "two anchors of each condition, one answer compared with its forecast, four directions, in float32"
ONE_KERNEL = "on a GPU one kernel, which torch compiles when it runs; on a CPU one pass for each anchor"
Line = tuple[str, str, str, str, str]  # target, limit, on a GPU, on a CPU, what limits it


def read(name: str) -> Data | None:
    file = RESULTS / name
    return json.loads(file.read_text("utf-8")) if file.is_file() else None


def of_gpu(gpu: Data | None, method: str, figure: str, form: str) -> str:
    methods = {} if gpu is None else gpu["subjects"].get(FULL_FLUX, {}).get("methods", {})
    if not (methods.get(method) and methods.get(BASE)):
        return WAITING
    value = summary(methods[method], methods[BASE])[figure]
    return WAITING if value is None else form.format(value)


def of_level(cpu: Data, network: str, level: str) -> Data:
    return next(row for row in cpu["levels"] if (row["network"], row["level"]) == (network, level))


def efficiency(row: Data, speed: float = 5.0) -> float:
    """What forecast steps of this cost leave of a speed-up: of ``speed`` steps one is computed, the others forecast."""
    return 1.0 / (1.0 + (speed - 1.0) * row["share"])


def least(row: Data) -> float:
    """The same if a forecast cost nothing but what the host spends on a step whose blocks do nothing."""
    return efficiency({"share": row["passed over"] / row["step"]})


def efficiencies(gpu: Data | None, cpu: Data) -> Iterator[Line]:
    limits = {
        "output": (0.97, "one pass over a few latents; next to nothing beside a network"),
        "stack": (0.97, "embedders and last layer, which the host runs on every step"),
        "module": (0.85, "the host's gates of every block, and a sum over anchors for every attention and MLP"),
    }
    for level, (limit, why) in limits.items():
        row = of_level(cpu, "small Flux", level)
        most = "" if level == "output" else f"; about {least(row):.2f} with free forecasts"
        deep = of_level(cpu, "57 blocks of FLUX.1 dev, 48 channels", level)
        found = f"{efficiency(row):.2f} on the small Flux at 5x{most}; {efficiency(deep):.2f} with 57 thin blocks"
        measured = of_gpu(gpu, f"{level}, speed 5", "efficiency", "{:.3f} at 5x")
        published = of_gpu(gpu, "as published, N 7", "efficiency", "{:.3f} as published, N 7")
        if level == "module" and published != WAITING:
            measured = published if measured == WAITING else f"{measured}, {published}"
        yield f"efficiency at {level}", f">= {limit}", measured, found, why


def overheads(gpu: Data | None, cpu: Data) -> Iterator[Line]:
    """At output HiCache alone was timed, elsewhere it is the difference of two steps, with the noise of both."""
    flux = next(row for row in cpu["ours"] if row["network"].startswith("small Flux"))
    alone = f"{flux['computed']:.2f} ms: {flux['overhead']:.1%} of the small Flux's {flux['step']:.0f} ms"
    levels = {
        "output": "the stabilizer's sums and two small reads; a fixed cost, so the share falls with the network's size",
        "stack": "a Python call around every block, and a copy of one hidden tensor",
        "module": "a Python call around every attention and MLP, and a copy of what each returns",
    }
    for level, why in levels.items():
        share = of_level(cpu, "small Flux", level)["overhead"]
        yield (
            f"overhead on a computed step, level {level}",
            "<= 0.5 %",
            of_gpu(gpu, f"{level}, speed 5", "overhead", "{:+.2%}"),
            alone if level == "output" else f"{share:+.1%} of the small Flux's step, some points of it noise",
            why,
        )


def forecasts(gpu: Data | None, cpu: Data) -> Iterator[Line]:
    thin = next(row for row in cpu["ours"] if row["network"].startswith("almost"))
    yield (
        "HiCache in a forecast step at level output, 1024x1024",
        "<= 1 ms",
        of_gpu(gpu, "output, speed 5", "forecast", "{:.2f} ms, with the host's own"),
        f"{thin['forecast']:.2f} ms, one thread",
        "four passes over a latent of 1 MB",
    )


def sums(gpu: Data | None, cpu: Data) -> Iterator[Line]:
    for anchors, why in ((2, "one fused pass"), (3, ONE_KERNEL)):
        ratios = {
            row["dtype"]: row["milliseconds"]["weighted_sum"] / row["milliseconds"]["copy"]
            for row in cpu["sums"]
            if row["anchors"] == anchors
        }
        on_gpu = [] if gpu is None else [row for row in gpu["sums"] if row["anchors"] == anchors]
        times = on_gpu[0]["milliseconds"] if on_gpu else None
        yield (
            f"weighted_sum of {anchors} anchors against a copy",
            "<= 1.3",
            WAITING if times is None else f"{times['weighted_sum'] / times['copy']:.2f}",
            ", ".join(f"{ratio:.2f} {dtype}" for dtype, ratio in ratios.items()),
            why,
        )


def held(data: Data | None) -> str:
    """At level output, of a picture of 1024 x 1024; the same on every machine."""
    if data is None or not data["held"]:
        return WAITING
    return ", ".join(f"{number / 1e6:.1f} MB at CFG {cfg}" for cfg, number in data["held"].items())


def bytes_and_imports(gpu: Data | None, cpu: Data) -> Iterator[Line]:
    peak = of_gpu(gpu, "output, speed 5", "peak", "{:.0f} MiB of peak memory more at CFG 1")
    yield (
        "held at output, 1024x1024",
        "< 10 MB",
        held(gpu) if peak == WAITING else f"{held(gpu)}; {peak}",
        held(read("gpu_small_cpu.json")),
        HOLDS,
    )
    peak = of_gpu(gpu, "stack, speed 5", "peak", "{:.0f} MiB of peak memory more")
    yield (
        "held at stack",
        "order + 1 hidden tensors",
        peak,
        "exactly; a test",
        "each anchor is one, in the network's type",
    )
    yield (
        "reads from the device in a forecast step",
        "1, the noise level",
        _waits(gpu),
        "1; a test for every level",
        "the sampler hands the noise level over as a tensor; a kernel for three or more anchors is tried once",
    )
    yield (
        "import beyond the host's own modules",
        "< 150 ms",
        "no GPU in it",
        f"{cpu['import']:.0f} ms",
        "some fifty small modules; nothing else is imported, a test",
    )
    yield "1,000 node executions leave behind", "nothing", "no GPU in it", "nothing; a test", ""


def _waits(gpu: Data | None) -> str:
    waits = {} if gpu is None else gpu["subjects"].get(FULL_FLUX, {}).get("waits", {})
    found = {name: counts for name, counts in waits.items() if counts}
    if BASE not in found or "output, speed 2" not in found:
        return WAITING
    forecast, plain = found["output, speed 2"].get("forecast"), found[BASE].get("computed")
    return f"{forecast:g}, the host and the sampler included; {plain:g} in a step without HiCache"


def events() -> Iterator[Line]:
    page = (PAGES / "events.md").read_text("utf-8")
    lines = re.findall(r"^\| [\d.]+ \|.*$", page, re.MULTILINE)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    shown = {row[0]: row[8] for row in rows if row[1] == "shown, a browser connected"}
    sent = max(int(row[4]) for row in rows if row[1] == "shown, nobody connected")
    yield (
        "live events, of sampling time",
        "< 0.5 %",
        "no GPU in it",
        f"{', '.join(f'{share} at speed {speed}' for speed, share in shown.items())}; {sent} messages to nobody",
        "each message wakes the server's thread, which then holds Python's lock; at most four a second",
    )


def document() -> str:
    cpu, gpu = read("cpu.json"), read("gpu.json")
    assert cpu is not None, "run benchmarks/cpu.py --json benchmarks/results/cpu.json first"
    parts = (efficiencies, overheads, forecasts, sums, bytes_and_imports)
    lines = [line for part in parts for line in part(gpu, cpu)] + [*events()]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    nowhere = "**no GPU was at hand yet, and no figure stands in for one**"
    return (
        "Targets and where they stand, written by `python dev.py exec -- python benchmarks/limits.py` from the files "
        f"in benchmarks/results/ and this folder. The CPU's figures are from {cpu['machine']}; "
        f"{'the GPU is ' + gpu['machine']['device'] if gpu else nowhere}.\n\n"
        f"| target | limit | on a GPU | on a CPU | what limits it |\n|---|---|---|---|---|\n{table}\n\n{TAIL}"
    )


TAIL = """Efficiency is the speed-up in seconds over the speed-up in calls. On the small Flux at 5x it follows from what
a forecast step costs beside a computed one; "with free forecasts" counts only what the host itself spends on a step
whose blocks do nothing. A small network makes that share large: its blocks are few and thin, its embedders are not.
"57 thin blocks" are those of FLUX.1 dev with 48 channels: there a step, computed or forecast, is little more than
Python and the start of operations. The wider the network, the smaller that part of a computed step.

How to measure on a GPU, also on a machine that has torch and no network (nothing is downloaded there):

    python dev.py exec -- python benchmarks/gpu_pack.py        # here: the host and four wheels, 8 MB, to .host/gpu_pack
    bash .host/gpu_pack/run.sh --out FILE                      # there, in the repository; under ten minutes
    python dev.py exec -- python benchmarks/limits.py          # with FILE.json as benchmarks/results/gpu.json

git ignores that folder: bring it along by name. It leaves compiled code behind, comfy_kitchen's above all, so there the
host's rotary embeddings run as plain torch and its own steps take somewhat longer than in a full install; gpu.md says
which parts were there.

The same script on a CPU, with networks made small: [gpu_small_cpu.md](../../benchmarks/results/gpu_small_cpu.md).
Everything measured on a CPU: [cpu.md](cpu.md), [events.md](events.md), [levels.md](levels.md).
"""


def main() -> None:
    text = document()
    print(text)
    (PAGES / "limits.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
