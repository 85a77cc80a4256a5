"""The widgets of a node in the order in which the frontend makes them: their values are saved by position."""

import re
from typing import Any

from .kinds import Options, Widget, children_of, ordered_specs, unordered_specs, widgets_of


class Widgets:
    """Of one node, as long as the workflow is converted."""

    def __init__(self, info: Options) -> None:
        self._info = info
        self.rows = [row for name, spec in ordered_specs(info) for row in widgets_of(name, spec)]
        if info["name"] == "CustomCombo":
            self.rows += [Widget("index", -1), Widget("option1", "")]

    def get(self, name: str) -> Widget | None:
        return next((row for row in self.rows if row.name == name), None)

    def set(self, widget: Widget, value: Any) -> None:
        """With what follows from it: other widgets."""
        widget.value = widget.choices[0] if value is None and widget.choices else value
        if widget.children is not None:
            self._grow_children(widget)
        if self._info["name"] == "CustomCombo":
            self._grow_options(widget)

    def _grow_children(self, widget: Widget) -> None:
        self.rows = [row for row in self.rows if not row.name.startswith(f"{widget.name}.")]
        place = self.rows.index(widget) + 1
        self.rows[place:place] = children_of(widget)

    def _grow_options(self, widget: Widget) -> None:
        """A combo whose choices the artist writes: behind the last that is written there is an empty one."""
        if re.fullmatch(r"option\d+", widget.name) and widget is self.rows[-1] and widget.value:
            self.rows.append(Widget(f"option{len(self.rows) - 1}", ""))
        written = [row.value for row in self.rows[2:]]
        self.rows[1].value = written.index(self.rows[0].value) if self.rows[0].value in written else -1

    def restore(self, values: list[Any] | dict[str, Any]) -> None:
        """By position, or by name where the node saved them so; a widget newer than the workflow keeps its default."""
        if isinstance(values, dict):
            self._restore_by_name(values)
            return
        remaining, place = self._without_forced(values), 0
        while (row := self._nth_saved(place)) is not None and place < len(remaining):
            self.set(row, remaining[place])
            place += 1

    def _restore_by_name(self, values: dict[str, Any]) -> None:
        """Dynamic combos before what they bring, whose names are longer by a dot."""
        for name in sorted(values, key=lambda name: name.count(".")):
            if (row := self.get(name)) is not None:
                self.set(row, values[name])

    def _nth_saved(self, place: int) -> Widget | None:
        """Of the widgets as they are now: a dynamic combo before this one may have brought others."""
        saved = [row for row in self.rows if row.saved]
        return saved[place] if place < len(saved) else None

    def _without_forced(self, values: list[Any]) -> list[Any]:
        """Values of inputs that had a widget before they became sockets for good are saved by some workflows."""
        forced: list[bool] = []
        for name, spec in unordered_specs(self._info):
            options = spec[1] if len(spec) > 1 else {}
            is_forced = bool(options.get("forceInput"))
            if is_forced or self.get(name) is not None:
                forced += [is_forced, False] if options.get("control_after_generate") else [is_forced]
        if len(forced) != len(values):
            return values
        return [value for value, is_forced in zip(values, forced, strict=True) if not is_forced]
