"""manifest.jsonl: what became of every row. A line is added as a row ends; at last a sorted file replaces it."""

import errno
import hashlib
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .outputs import MANIFEST, OutputError, Saved, is_of


@dataclass(frozen=True)
class Record:
    """What became of one row.

    request: sha256 of the prompt that was sent. files: in the order of the nodes that saved them. seconds: from the
    server's start of it until its files are here. calls, forecasts, seconds_saved: as HiCache reports them; None where
    it is not in the workflow. tries: how often the row was sent. error: one sentence where it failed, and no files.
    """

    row: int
    seed: int | None
    worker: str
    request: str
    files: tuple[Saved, ...] = ()
    calls: int | None = None
    forecasts: int | None = None
    seconds: float = 0.0
    seconds_saved: float | None = None
    tries: int = 1
    error: str | None = None


class Manifest:
    """Of a folder that one process has for itself; the newest record of a row counts."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._file = folder, folder / MANIFEST
        self._begun = False
        self.records: dict[int, Record] = {record.row: record for record in _read(self._file)}

    def add(self, record: Record) -> None:
        """One write, so that a reader never sees half a line; files that the row has no more go. Raises OutputError."""
        if not self._begun:  # a line that a crash cut short must not swallow this one
            self._replace()
            self._begun = True
        self._remove_old(record)
        self.records[record.row] = record
        try:
            with self._file.open("ab", buffering=0) as file:
                if file.write(line := _line(record)) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise OutputError(f"Cannot write {self._file} ({error.strerror}): make room, then --resume.") from error

    def _remove_old(self, record: Record) -> None:
        """No others than those of the row, whatever somebody wrote into the manifest."""
        before, now = self.records.get(record.row), {saved.file for saved in record.files}
        for name in {saved.file for saved in before.files} - now if before else ():
            if is_of(record.row, name):
                with suppress(OSError):
                    (self._folder / name).unlink()

    def finish(self) -> None:
        """Sorted by row."""
        self._replace()

    def done(self, row: int, request: str) -> bool:
        """Whether all files of the row are there, as this very prompt made them."""
        record = self.records.get(row)
        if record is None or record.error is not None or not record.files or record.request != request:
            return False
        return all(sha256_of(self._folder / saved.file) == saved.sha256 for saved in record.files)

    def _replace(self) -> None:
        part = self._file.with_suffix(".part")
        try:
            with part.open("wb") as file:
                file.writelines(_line(self.records[row]) for row in sorted(self.records))
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, self._file)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise OutputError(f"Cannot write {self._file} ({error.strerror}): make room, then --resume.") from error


def request_digest(prompt: dict[str, Any]) -> str:
    """Of what a row sends to the server."""
    return hashlib.sha256(
        json.dumps(prompt, sort_keys=True, ensure_ascii=False).encode("utf-8", "surrogatepass")
    ).hexdigest()


def sha256_of(file: Path) -> str | None:
    """None where it cannot be read."""
    digest = hashlib.sha256()
    try:
        with file.open("rb") as opened:
            for chunk in iter(lambda: opened.read(1 << 20), b""):
                digest.update(chunk)
    except OSError:
        return None
    return digest.hexdigest()


def _line(record: Record) -> bytes:
    return json.dumps(asdict(record)).encode() + b"\n"


def _read(file: Path) -> Iterable[Record]:
    """Lines that are no record, such as one cut short, are left out: their rows are made again."""
    lines = file.read_bytes().splitlines() if file.exists() else []
    for line in lines:
        try:
            record = Record(**json.loads(line))
            yield replace(record, files=tuple(Saved(**saved) for saved in record.files))
        except (TypeError, ValueError):
            continue
