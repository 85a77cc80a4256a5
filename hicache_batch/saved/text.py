"""Texts that the frontend fills in when a prompt is made: templates, and names of files."""

import random
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

COMMENT = re.compile(r"/\*[\s\S]*?\*/|//.*")
UNSAFE = re.compile(r'[/?<>\\:*|"\x00-\x1f\x7f]')
PLACEHOLDER = re.compile(r"%([^%]+)%")
DATE_PART = re.compile(r"d+|h+|m+|s+|yyyy|yy|M+")
MOMENT = datetime(2000, 1, 1)  # of every date: the same workflow is the same prompt the next time
DATE_PARTS = {"d": "day", "M": "month", "h": "hour", "m": "minute", "s": "second"}


def choose(template: str) -> str:
    """ "a {red|blue} hat" with one of the two, without comments.

    Which one is random but fixed by the text, so that the same workflow is the same prompt the next time.
    """
    return _Template(COMMENT.sub("", template), random.Random(template)).text()  # noqa: S311 - no secret


class _Template:
    def __init__(self, source: str, dice: random.Random) -> None:
        self._source, self._dice, self._place = source, dice, 0

    def text(self) -> str:
        parts = []
        while self._place < len(self._source):
            mark = self._next()
            parts.append(self._choice() if mark == "{" else mark)
        return re.sub(r"\\([{}|])", r"\1", "".join(parts))

    def _next(self) -> str:
        """One character, or two where the first is a backslash."""
        length = 2 if self._source[self._place] == "\\" else 1
        self._place += length
        return self._source[self._place - length : self._place]

    def _choice(self) -> str:
        """What comes after an opening brace, up to its closing one."""
        options, depth = [""], 0
        while self._place < len(self._source):
            mark = self._next()
            if mark == "}" and depth == 0:
                break
            depth += (mark == "{") - (mark == "}")
            if mark == "|" and depth == 0:
                options.append("")
            else:
                options[-1] += mark
        return _Template(self._dice.choice(options), self._dice).text()


def fill_in(name: str, value_of: Callable[[str, str], Any]) -> str:
    """%KSampler.seed% and %date:yyyy-MM-dd% in the name of a file. value_of(node, widget): None where there is none."""

    def replaced(match: re.Match) -> str:
        parts = match[1].split(".")
        if len(parts) != 2:
            is_date = parts[0].startswith("date:")
            return _date(parts[0].removeprefix("date:"), MOMENT) if is_date else match[0]
        value = value_of(*parts)
        return match[0] if value is None else UNSAFE.sub("_", _as_text(value))

    return PLACEHOLDER.sub(replaced, name)


def _as_text(value: Any) -> str:
    """As JavaScript writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _date(layout: str, now: datetime) -> str:
    def part(match: re.Match) -> str:
        text = match[0]
        if text[0] == "y":
            return f"{now.year:04}"[-len(text) :]
        return str(getattr(now, DATE_PARTS[text[0]])).rjust(len(text), "0")

    return DATE_PART.sub(part, layout)
