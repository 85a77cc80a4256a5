"""Prompt files: one row a picture (or a video), from .txt, .csv or .jsonl."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import Refusal

PROMPT = "prompt"  # the name of the one column that a .txt file has
RESERVED = {"row"}


@dataclass(frozen=True)
class Row:
    """index: its number in the whole file, from 0; the seed and the names of its files are made of it."""

    index: int
    columns: Mapping[str, Any]


def read_rows(path: Path) -> list[Row]:
    """Raises Refusal for a file that is missing, empty or not what its name says, with the line."""
    readers = {".txt": _lines, ".csv": _table, ".jsonl": _objects}
    if path.suffix.lower() not in readers:
        raise Refusal(f"The prompt file is {path}: choose a .txt, .csv or .jsonl.")
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise Refusal(f"Cannot read the prompt file {path} ({error.strerror}): name one that is there.") from error
    except UnicodeDecodeError as error:
        raise Refusal(f"{path} is not UTF-8 at byte {error.start}: save it as UTF-8.") from error
    rows = [Row(index, columns) for index, columns in enumerate(readers[path.suffix.lower()](text, path))]
    if not rows:
        raise Refusal(f"{path} has no prompts: write one a line.")
    return rows


def _lines(text: str, _path: Path) -> Iterator[dict[str, Any]]:
    """A line a prompt; empty ones are left out. Not by splitlines, which also splits at rarer characters."""
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        if line.strip():
            yield {PROMPT: line.strip()}


def _table(text: str, path: Path) -> Iterator[dict[str, Any]]:
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        names = [name.strip() for name in next(lines, [])]
        _check_names(names, path)
        for cells in lines:
            if len(cells) not in (0, len(names)):
                raise Refusal(f"{path} line {lines.line_num} has {len(cells)} cells: its first line has {len(names)}.")
            if cells:
                yield dict(zip(names, cells, strict=True))
    except csv.Error as error:
        raise Refusal(f"{path} line {lines.line_num} is no CSV ({error}): mend the line.") from error


def _check_names(names: list[str], path: Path) -> None:
    for name in names:
        if not name or names.count(name) > 1 or name in RESERVED:
            why = "has no name" if not name else "is the row's own number" if name in RESERVED else "is there twice"
            raise Refusal(f"Column {name!r} of {path} {why}: give every column a name of its own in the first line.")


def _objects(text: str, path: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield _object(line, f"{path} line {number}")


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        found = json.loads(line, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Refusal(f"{where} is no JSON ({error}): write one object a line.") from error
    if isinstance(found, str):
        found = {PROMPT: found}
    if not isinstance(found, dict):
        raise Refusal(f'{where} is {line.strip()[:60]}: write an object such as {{"prompt": "a cat"}}, or a text.')
    for name, value in found.items():
        if name in RESERVED or not isinstance(value, (str, int, float, bool, type(None))):
            raise Refusal(f"{where}: {name!r} is {json.dumps(value)[:60]}: use a text, a number, true, false or null.")
    return {name: value for name, value in found.items() if value is not None}


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not a number")
