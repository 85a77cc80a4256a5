"""What benchmarks/gpu.py measured, as Markdown."""

from statistics import median
from typing import Any

BASE = "without HiCache"


def document(data: dict[str, Any]) -> str:
    machine = data["machine"]
    where = (
        "**A CPU, with networks made small: it shows that the script runs, and says nothing about a GPU.** "
        if machine["small"]
        else ""
    )
    versions = f"Python {machine['python']}, torch {machine['torch']}, ComfyUI {machine['comfyui']}"
    head = (
        f"{where}{machine['device']}, {machine['dtype']}, random weights, euler, {versions}; medians, "
        f"{machine['seconds']:.0f} s in all.\n\n`{machine['command']}`\n"
    )
    parts = [head, *(_subject(name, of) for name, of in data["subjects"].items()), _sums(data["sums"])]
    if data["skipped"]:
        parts.append("Skipped:\n\n" + "\n".join(f"- {one}" for one in data["skipped"]) + "\n")
    return "\n".join(parts)


def summary(runs: list[dict[str, Any]], base: list[dict[str, Any]]) -> dict[str, float | None]:
    """Of one method, against the runs without HiCache."""
    seconds, full = _middle(runs, "seconds"), _middle(base, "seconds")
    in_calls = base[0]["calls"] / runs[0]["calls"]
    computed, plain = _steps(runs, "computed"), _steps(base, "computed")
    peak = None if runs[0]["peak"] is None else (runs[0]["peak"] - base[0]["peak"]) / 2**20
    return {
        "calls": runs[0]["calls"],
        "seconds": seconds,
        "in calls": in_calls,
        "in seconds": full / seconds,
        "efficiency": full / seconds / in_calls,
        "computed": computed,
        "overhead": None if computed is None or plain is None else computed / plain - 1.0,
        "forecast": _steps(runs, "forecast"),
        "peak": peak,
        "held": runs[0].get("held", 0) / 2**20,
    }


def _middle(runs: list[dict[str, Any]], what: str) -> float:
    return median(one[what] for one in runs)


def _steps(runs: list[dict[str, Any]], what: str) -> float | None:
    each = [seconds for one in runs for seconds in one.get(what, ())]
    return 1e3 * median(each) if each else None


COLUMNS = {
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
    "| method | calls | seconds | speed-up in calls | in seconds | efficiency | computed step, ms | overhead "
    "| forecast step, ms | peak memory more, MiB | held, MiB |\n|" + "---|" * 11
)


def _subject(name: str, of: dict[str, Any]) -> str:
    base = of["methods"][BASE]
    if not base:
        return f"## {name}\n\nNothing was measured.\n"
    lines = [
        f"| {method} | {' | '.join(_cell(summary(runs, base)[column], form) for column, form in COLUMNS.items())} |"
        for method, runs in of["methods"].items()
        if runs
    ]
    said = {m for runs in of["methods"].values() for one in runs for m in one.get("messages", ())}
    waits = [
        f"- {method}: " + ", ".join(f"{count:g} in a {kind} step" for kind, count in sorted(counts.items()))
        for method, counts in of["waits"].items()
        if counts
    ]
    waits = ["", "How often the host waits for the device:", "", *waits] if waits else []
    rounds = f"Each {len(base)} time(s), in turns.\n"
    return "\n".join([f"## {name}\n", rounds, HEAD, *lines, *waits, *(f"\n{message}" for message in sorted(said)), ""])


def _cell(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)


def _sums(rows: list[dict[str, Any]]) -> str:
    lines = [
        "## weighted_sum against a copy of as many bytes\n",
        "Milliseconds; in brackets, how many times the copy.\n",
        "| tensors | anchors | MB moved | copy | weighted_sum | step by step | one kernel |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        times = row["milliseconds"]
        cells = [_times(times.get(name), times["copy"]) for name in ("weighted_sum", "step by step", "one kernel")]
        shape = " x ".join(map(str, row["shape"]))
        lines.append(
            f"| {shape}, {row['dtype']} | {row['anchors']} | {row['megabytes']:.0f} | {times['copy']:.3f} "
            f"| {' | '.join(cells)} |"
        )
    return "\n".join([*lines, ""])


def _times(value: float | str | None, copy: float) -> str:
    return f"{value:.3f} ({value / copy:.2f})" if isinstance(value, float) else value or ""
