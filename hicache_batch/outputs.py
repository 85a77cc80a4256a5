"""The folder of a batch: names that sort, files that are whole or not there, one batch at a time."""

import hashlib
import os
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from .errors import Refusal

MANIFEST = "manifest.jsonl"
LOCK = ".lock"
PART = ".part"


@dataclass(frozen=True)
class Saved:
    """A file in the folder, by its name."""

    file: str
    sha256: str


class OutputError(Exception):
    """The folder took no file: the batch cannot go on; one sentence."""


@contextmanager
def opened_folder(path: Path, resume: bool) -> Iterator[Path]:
    """The folder, made if need be, for this process alone. What a refusal leaves empty is taken away again."""
    try:
        made = [folder for folder in (path, *path.parents) if not folder.exists()]
        path.mkdir(parents=True, exist_ok=True)
        lock = _locked(path / LOCK)
    except OSError as error:
        raise Refusal(f"Cannot write to {path} ({error.strerror}): choose another --out.") from error
    try:
        if (path / MANIFEST).exists() and not resume:
            raise Refusal(f"{path} already holds a batch: add --resume to go on with it, or choose another --out.")
        yield path
    finally:
        _unlock(lock, path / LOCK)
        for folder in made:
            with suppress(OSError):  # not empty
                folder.rmdir()


def _locked(file: Path) -> sqlite3.Connection:
    """SQLite's file lock works on every platform and ends with the process that holds it."""
    try:
        lock = sqlite3.connect(file, timeout=0, isolation_level=None, check_same_thread=False)
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise Refusal(
                f"Another batch is writing to {file.parent}: wait for it, or choose another --out."
            ) from error
        raise OSError(0, str(error)) from error
    return lock


def _unlock(lock: sqlite3.Connection, file: Path) -> None:
    """The file goes while it is still locked, or another batch could lock one that is about to go."""
    try:
        file.unlink(missing_ok=True)
        lock.close()
    except OSError:  # Windows, where nobody can take away what is open
        lock.close()
        with suppress(OSError):
            file.unlink(missing_ok=True)


def file_name(row: int, number: int, suffix: str) -> str:
    """Sorts by row; the same whoever makes it."""
    return f"{row:06d}_{number:02d}{suffix}"


def is_of(row: int, name: str) -> bool:
    """Whether it could be the name of a file of this row."""
    return re.fullmatch(rf"{row:06d}_\d+(\.[^/\\]*)?", name) is not None


async def save(folder: Path, name: str, chunks: AsyncIterator[bytes]) -> Saved:
    """Under its name only when it is whole; what a power cut still spoils, its sha256 tells.

    Raises OutputError, and what the source of the chunks raises.
    """
    part, digest = folder / (name + PART), hashlib.sha256()
    try:
        with part.open("wb") as file:
            async for chunk in chunks:
                digest.update(chunk)
                file.write(chunk)
        os.replace(part, folder / name)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputError(
            f"Cannot write {folder / name} ({error.strerror or error}): make room, then --resume."
        ) from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return Saved(name, digest.hexdigest())
