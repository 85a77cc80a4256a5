"""What of a row goes where: columns, the seed and --set, bound to inputs of nodes."""

import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import Refusal
from .nodes import Input, Prompt, describe, find, prompt_text, seeds, source_of_seed
from .rows import PROMPT, Row
from .values import Convert, converter

SEED, ROW = "seed", "row"
LARGEST_SEED = 2**64 - 1


@dataclass(frozen=True)
class Binding:
    """template: as a format string over the columns of a row, its seed and its number."""

    place: Input
    template: str
    column: str | None  # where the template is nothing but this
    convert: Convert


@dataclass(frozen=True)
class Wanted:
    """What the user asked for: (node.input, template) of every --set, and the base of the seeds; None: from 0."""

    sets: Sequence[tuple[str, str]] = ()
    seed: int | None = None


class Bindings:
    """Of a workflow's prompt on a server. Raises Refusal, naming what exists, for what fits nowhere."""

    def __init__(self, prompt: Prompt, object_info: dict[str, Any], columns: Sequence[str], wanted: Wanted) -> None:
        self._prompt, self._info, self._columns, self._base = prompt, object_info, list(columns), wanted.seed or 0
        self.bindings: dict[Input, Binding] = {}
        for target, template in wanted.sets:
            self._bind(find(prompt, target, object_info), template)
        self._bind_columns()
        asked = "--seed" if wanted.seed is not None else "Column 'seed'" if SEED in columns else None
        self._bind_seeds(None if self.has_seed else asked)

    def _bind(self, place: Input, template: str) -> None:
        if place in self.bindings:
            raise Refusal(f"{describe(self._prompt, place)} is bound twice: keep one of the two.")
        fields = list(_fields(template))
        unknown = [name for name in fields if name not in (*self._columns, SEED, ROW)]
        if unknown:
            names = ", ".join((*self._columns, SEED, ROW))
            raise Refusal(f"{{{unknown[0]}}} in {template!r} is no column: choose of {names}, or write {{{{ for a {{.")
        alone = fields[0] if fields and template == f"{{{fields[0]}}}" else None
        self.bindings[place] = Binding(place, template, alone, converter(self._prompt, place, self._info))

    def _bind_columns(self) -> None:
        """Those that no template uses, by their own names."""
        used = {name for binding in self.bindings.values() for name in _fields(binding.template)}
        for name in self._columns:
            if name in used or name == SEED:
                continue
            place = prompt_text(self._prompt) if name == PROMPT else self._named(name)
            self._bind(place, f"{{{name}}}")

    def _named(self, column: str) -> Input:
        try:
            return find(self._prompt, column, self._info)
        except Refusal as refusal:
            why = f"Column {column!r} is bound to nothing; use it with --set 'NODE.input={{{column}}}' or remove it. "
            raise Refusal(why + str(refusal)) from refusal

    def _bind_seeds(self, asked: str | None) -> None:
        """asked: what of the user's must reach all of them."""
        for place in seeds(self._prompt):
            source = source_of_seed(self._prompt, place)
            if source is not None and not {place, source} & self.bindings.keys():
                self._bind(source, f"{{{SEED}}}")
            if source is None and asked and place not in self.bindings:
                where = describe(self._prompt, place)
                raise Refusal(f"{asked} does not reach {where}, which is linked: say --set 'NODE.input={{seed}}'.")
        if asked and not self.has_seed:
            raise Refusal(f"{asked} fits nowhere: the workflow has no seed; say --set 'NODE.input={{seed}}'.")

    @property
    def has_seed(self) -> bool:
        return any(SEED in _fields(binding.template) for binding in self.bindings.values())

    def seed_of(self, row: Row) -> int:
        """The row's own, or the base and its number. Raises Refusal for one that is no seed."""
        given = row.columns.get(SEED)
        try:
            seed = self._base + row.index if given in (None, "") else int(str(given))
        except ValueError:
            seed = -1
        if not 0 <= seed <= LARGEST_SEED:
            raise Refusal(f"The seed of row {row.index} is {given or seed}: choose a whole number from 0 to 2^64 - 1.")
        return seed

    def apply(self, row: Row) -> Prompt:
        """The prompt of a row, fresh. Raises Refusal for a value that its input does not take."""
        prompt = {key: {**node, "inputs": dict(node["inputs"])} for key, node in self._prompt.items()}
        values = {**row.columns, SEED: self.seed_of(row), ROW: row.index}
        for place, binding in self.bindings.items():
            value = self._value(binding, values, row)
            if value is not None:
                prompt[place.node]["inputs"][place.name] = value
        return prompt

    def _value(self, binding: Binding, values: Mapping[str, Any], row: Row) -> Any:
        """None where the row has none: the workflow's own value stays."""
        if any(name not in values for name in _fields(binding.template)):
            return None
        given = values[binding.column] if binding.column else _filled(binding.template, values)
        try:
            return binding.convert(given)
        except ValueError as error:
            where = describe(self._prompt, binding.place)
            raise Refusal(f"Row {row.index} gives {where} {given!r}: {error}.") from error

    def described(self) -> Iterator[str]:
        for place, binding in self.bindings.items():
            yield f"{describe(self._prompt, place)} = {binding.template}"


def _fields(template: str) -> Iterator[str]:
    try:
        for _, name, spec, conversion in string.Formatter().parse(template):
            if name is not None:
                if spec or conversion:
                    raise ValueError("only names stand between braces")
                yield name
    except ValueError as error:
        raise Refusal(f"{template!r} is no template ({error}): write {{column}}, and {{{{ for a brace.") from error


def _filled(template: str, values: Mapping[str, Any]) -> str:
    parts = string.Formatter().parse(template)
    return "".join(text + (str(values[name]) if name is not None else "") for text, name, _, _ in parts)
