"""What benchmarks/gpu.py measured, as Markdown."""

from statistics import median
from typing import Any

BASE = "without HiCache"


def document(data: dict[str, Any]) -> str:
    parts = [
        _head(data["machine"]),
        *(_subject(name, of) for name, of in data["subjects"].items()),
        _sums(data["sums"]),
        _held(data["held"]),
    ]
    if data["refusals"]:
        parts.append(f"Not in one kernel: {'; '.join(data['refusals'])}.\n")
    if data["skipped"]:
        parts.append("Skipped:\n\n" + "\n".join(f"- {one}" for one in data["skipped"]) + "\n")
    return "\n".join(parts)


def _head(machine: dict[str, Any]) -> str:
    small = "**A CPU, with networks made small: it shows that the script runs, and says nothing about a GPU.** "
    versions = f"Python {machine['python']}, torch {machine['torch']}, ComfyUI {machine['comfyui']}"
    cuda = f", CUDA {machine['cuda']}, driver {machine['driver'] or 'unknown'}" if machine["cuda"] else ""
    kitchen = ", ".join(f"{name} {state}" for name, state in machine["comfy_kitchen"].items())
    return (
        f"{small if machine['small'] else ''}{machine['device']}, {machine['memory'] / 2**30:.0f} GiB, "
        f"{machine['dtype']}, random weights, euler, {versions}{cuda}; {machine['seconds']:.0f} s in all.\n\n"
        f"`{machine['command']}`\n\nMedians over rounds, in which methods take turns; overhead and "
        f"efficiency are those of a method against the run without HiCache of the same round, in brackets their range. "
        f"Backends of comfy_kitchen: {kitchen}.{EAGER if machine['comfy_kitchen'].get('cuda') != 'there' else ''}\n"
    )


EAGER = """ Without the compiled one the host's rotary embeddings run as plain torch, so its own steps take
somewhat longer than where everything is installed."""


def summary(runs: list[dict[str, Any]], base: list[dict[str, Any]]) -> dict[str, Any]:
    """Of one method, against the runs without HiCache of the same rounds."""
    of_round = {one["round"]: one for one in base}
    pairs = [(one, of_round.get(one["round"], base[0])) for one in runs]
    in_calls = base[0]["calls"] / runs[0]["calls"]
    in_seconds = [plain["seconds"] / one["seconds"] for one, plain in pairs]
    overheads = [_step(one, "computed") / _step(plain, "computed") - 1.0 for one, plain in pairs if one["computed"]]
    forecasts = [1e3 * _step(one, "forecast") for one in runs if one.get("forecast")]
    return {
        "rounds": len(runs),
        "calls": runs[0]["calls"],
        "seconds": median(one["seconds"] for one in runs),
        "in calls": in_calls,
        "in seconds": median(in_seconds),
        "efficiencies": [ratio / in_calls for ratio in in_seconds],
        "efficiency": median(in_seconds) / in_calls,
        "computed": 1e3 * median(_step(one, "computed") for one in runs) if runs[0]["computed"] else None,
        "overheads": overheads,
        "overhead": median(overheads) if overheads else None,
        "forecast": median(forecasts) if forecasts else None,
        "peak": None if runs[0]["peak"] is None else (runs[0]["peak"] - base[0]["peak"]) / 2**20,
        "held": runs[0].get("held", 0) / 2**20,
    }


def _step(run: dict[str, Any], what: str) -> float:
    return median(run[what])


COLUMNS = {
    "rounds": "{:.0f}",
    "calls": "{:.0f}",
    "seconds": "{:.2f}",
    "in calls": "{:.2f}",
    "in seconds": "{:.2f}",
    "efficiency": "{:.3f}",
    "computed": "{:.2f}",
    "overhead": "{:+.1%}",
    "forecast": "{:.2f}",
    "peak": "{:.0f}",
    "held": "{:.1f}",
}
HEAD = (
    "| method | rounds | calls | seconds | speed-up in calls | in seconds | efficiency | computed step, ms | overhead "
    "| forecast step, ms | peak memory more, MiB | held, MiB |\n|" + "---|" * 12
)


def _subject(name: str, of: dict[str, Any]) -> str:
    base = of["methods"][BASE]
    if not base:
        return f"## {name}\n\nNothing was measured.\n"
    lines = [_line(method, runs, base) for method, runs in of["methods"].items() if runs]
    said = {m for runs in of["methods"].values() for one in runs for m in one.get("messages", ())}
    waits = [
        f"- {method}: " + ", ".join(f"{count:g} in a {kind} step" for kind, count in sorted(counts.items()))
        for method, counts in of["waits"].items()
    ]
    waits = ["", "How often the host waits for the device:", "", *waits] if waits else []
    loaded = (
        "All weights were on the device in every run." if of["fully loaded"] else "**Some weights were offloaded.**"
    )
    return "\n".join([f"## {name}\n", f"{loaded}\n", HEAD, *lines, *waits, *(f"\n{m}" for m in sorted(said)), ""])


def _line(method: str, runs: list[dict[str, Any]], base: list[dict[str, Any]]) -> str:
    found = summary(runs, base)
    cells = {name: "" if found[name] is None else form.format(found[name]) for name, form in COLUMNS.items()}
    if runs is base:  # it against itself
        cells["overhead"] = cells["efficiency"] = ""
    elif len(runs) > 1:
        for column, each in (("overhead", "overheads"), ("efficiency", "efficiencies")):
            form = COLUMNS[column]
            cells[column] += f" ({form.format(min(found[each]))} to {form.format(max(found[each]))})"
    return f"| {method} | {' | '.join(cells.values())} |"


def _held(held: dict[str, int]) -> str:
    if not held:
        return ""
    each = ", ".join(f"{bytes_ / 1e6:.1f} MB at CFG {cfg}" for cfg, bytes_ in held.items())
    return f"Held at level output for a picture of 1024 x 1024, in float32: {each}.\n"


WAYS = ("weighted_sum", "and to a place", "step by step", "one bag a token", "in chunks")


def _sums(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return ""
    ways = [way for way in WAYS if any(way in row["milliseconds"] for row in rows)]
    lines = [
        "## weighted_sum against a copy of as many bytes\n",
        'Milliseconds; in brackets, how many times the copy. The ways from "step by step" on are not in the pack.\n',
        f"| tensors | anchors | MB moved | copy | {' | '.join(ways)} |",
        f"|{'---|' * (4 + len(ways))}",
    ]
    for row in rows:
        times = row["milliseconds"]
        shape = " x ".join(map(str, row["shape"]))
        lines.append(
            f"| {shape}, {row['dtype']} | {row['anchors']} | {row['megabytes']:.0f} | {times['copy']:.3f} "
            f"| {' | '.join(_times(times.get(name), times['copy']) for name in ways)} |"
        )
    worst = {way: max((row["errors"][way] for row in rows if way in row["errors"]), default=None) for way in ways}
    errors = ", ".join(f"{way} {error:.1e}" for way, error in worst.items() if error is not None)
    return "\n".join([*lines, "", f"Largest relative error against float64: {errors}.", ""])


def _times(value: float | str | None, copy: float) -> str:
    return f"{value:.3f} ({value / copy:.2f})" if isinstance(value, float) else value or ""
