"""What a person sees of a batch: a bar, a sentence where something happens, a summary."""

import sys
import time
from collections import Counter
from pathlib import Path

from tqdm import tqdm

from .bindings import Bindings
from .manifest import Record


class Progress:
    """A listener of run_batch. Everything goes to stderr, so that a script may have stdout for itself."""

    def __init__(self, rows: int, folder: Path) -> None:
        self._rows, self._folder = rows, folder
        self._records: list[Record] = []
        self._bar: tqdm | None = None
        self._started = time.monotonic()

    def checked(self, bindings: Bindings, skipped: int, workers: int) -> None:
        for line in bindings.described():
            self.say(f"  {line}")
        if not bindings.has_seed:
            self.say("The workflow has no seed: rows differ by their columns alone.")
        if skipped:
            self.say(f"{skipped} of {self._rows} rows are there already.")
        self.skipped, self.workers, self._started = skipped, workers, time.monotonic()
        self._bar = tqdm(total=self._rows, initial=skipped, unit="row", file=sys.stderr, mininterval=0.5, smoothing=0.1)

    def recorded(self, record: Record) -> None:
        self._records.append(record)
        if record.error:
            self.say(f"Row {record.row} failed after {record.tries} tries: {record.error}")
        if self._bar is not None:
            self._bar.update()

    def say(self, sentence: str) -> None:
        tqdm.write(sentence, file=sys.stderr)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()

    @property
    def failed(self) -> list[Record]:
        return [record for record in self._records if record.error]

    def summary(self) -> str:
        """Of what was done now; rows that were there already have no share in it."""
        seconds = time.monotonic() - self._started
        done = [record for record in self._records if not record.error]
        rate = f", {len(done) / seconds:.2f} rows a second" if done else ""
        lines = [
            f"{len(done)} rows in {seconds:.0f} s on {self.workers} workers{rate}; files, manifest: {self._folder}"
        ]
        shares = Counter(record.worker for record in done)
        lines += [f"  {name}: {count} rows" for name, count in sorted(shares.items())]
        return "\n".join((*lines, *_saved(done), *_failures(self.failed)))


def _saved(done: list[Record]) -> list[str]:
    """By HiCache's own estimate, which docs/timeline.md explains."""
    told = [record for record in done if record.calls]
    if not told:
        return (
            ["HiCache had no part in it: the workflow has no HiCache Patch Model, or it is bypassed."] if done else []
        )
    calls, forecasts = sum(r.calls or 0 for r in told), sum(r.forecasts or 0 for r in told)
    saved, spent = sum(r.seconds_saved or 0 for r in told), sum(r.seconds for r in told)
    return [
        f"HiCache computed {calls} of {calls + forecasts} steps ({(calls + forecasts) / calls:.2f}x fewer calls) and "
        f"saved about {saved:.0f} s: all in all, rows were {(spent + saved) / spent:.2f}x as fast as without it."
    ]


def _failures(failed: list[Record]) -> list[str]:
    if not failed:
        return []
    rows = ", ".join(str(record.row) for record in failed[:20]) + (" ..." if len(failed) > 20 else "")
    return [
        f"{len(failed)} rows failed ({rows}): the manifest says why; the same command with --resume tries them again."
    ]
