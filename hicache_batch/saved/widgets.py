"""The widgets of a node in the order in which the frontend makes them: their values are saved by position."""

import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

SEEDS = ("seed", "noise_seed")
UPLOADS = ("image_upload", "video_upload", "animated_image_upload")
DYNAMIC_COMBO, AUTOGROW = "COMFY_DYNAMICCOMBO_V3", "COMFY_AUTOGROW_V3"
CURVE = {"points": [[0, 0], [1, 1]], "interpolation": "monotone_cubic"}
BOX = {"x": 0, "y": 0, "width": 512, "height": 512}

Options = dict[str, Any]
Spec = list[Any]


@dataclass
class Widget:
    """saved: has a place among the values of a saved node. sent: is part of a prompt.

    children: by choice, the inputs that it brings (a dynamic combo). is_template: text such as "a {red|blue} hat".
    """

    name: str
    value: Any
    saved: bool = True
    sent: bool = True
    choices: list[Any] = field(default_factory=list)
    children: dict[str, Options] | None = None
    is_template: bool = False
    is_curve: bool = False


def widgets_of(name: str, spec: Spec) -> list[Widget]:
    """None for a socket; more than one where the frontend puts others behind it, with values of their own."""
    options = spec[1] if len(spec) > 1 else {}
    if options.get("forceInput"):
        return []
    kind = "COMBO" if isinstance(spec[0], list) else options.get("widgetType") or spec[0]
    choices = spec[0] if isinstance(spec[0], list) else options.get("options") or []
    make = KINDS.get(kind)
    return make(name, options, choices) if make else []


def ordered_specs(info: Options) -> Iterator[tuple[str, Spec]]:
    """The inputs of a node's definition as the frontend orders them, with those that it adds itself."""
    given = info["input"]
    specs = {**(given.get("required") or {}), **(given.get("optional") or {})}
    order = info.get("input_order") or {}
    names = [*(order.get("required") or []), *(order.get("optional") or [])]
    yield from ((name, specs[name]) for name in [*names, *(n for n in specs if n not in names)] if name in specs)
    yield from _uploads(given.get("required") or {})


def _uploads(required: dict[str, Spec]) -> Iterator[tuple[str, Spec]]:
    """The button for a file of one's own: it has a value, which means nothing."""
    for spec in required.values():
        options = spec[1] if len(spec) > 1 else {}
        if any(options.get(flag) for flag in (*UPLOADS, "audio_upload")):
            yield "upload", ["UPLOAD", {}]
            return


def _control(name: str, options: Options, is_on: bool, filters: bool = False) -> list[Widget]:
    """What is to become of a value after the run, and for a combo which choices count."""
    if not is_on:
        return []
    control = Widget("control_after_generate", "randomize", sent=False)
    return [control, Widget("control_filter_list", "", sent=False)] if filters else [control]


def _int(name: str, options: Options, _: list[Any]) -> list[Widget]:
    flag = options.get("control_after_generate")
    is_on = name in SEEDS if flag is None else bool(flag)
    return [Widget(name, _default(options, 0)), *_control(name, options, is_on)]


def _float(name: str, options: Options, _: list[Any]) -> list[Widget]:
    return [Widget(name, _default(options, 0)), *_control(name, options, bool(options.get("control_after_generate")))]


def _string(name: str, options: Options, _: list[Any]) -> list[Widget]:
    # What a choice of a dynamic combo brings comes after the frontend has looked for templates.
    is_template = options.get("dynamicPrompts") is True and "." not in name
    return [Widget(name, _default(options, ""), is_template=is_template)]


def _combo(name: str, options: Options, choices: list[Any]) -> list[Widget]:
    is_on, several = bool(options.get("control_after_generate")), bool(options.get("multi_select"))
    first = choices[0] if choices else "Loading..." if options.get("remote") else None
    value = [] if several else options.get("default") or first
    widget = Widget(name, value, choices=[] if several else choices)
    return [widget, *_control(name, options, is_on, filters=not several), *_remote(options)]


def _remote(options: Options) -> list[Widget]:
    """What comes with choices that the server is asked for anew."""
    remote = options.get("remote")
    if not remote:
        return []
    refresh = [Widget("refresh", "refresh")] if remote.get("refresh_button") else []
    return [Widget("Auto-refresh after generation", False, sent=False), *refresh]


def _dynamic_combo(name: str, options: Options, _: list[Any]) -> list[Widget]:
    children = {row["key"]: row["inputs"] for row in options["options"]}
    widget = Widget(name, next(iter(children), None), choices=list(children), children=children)
    return [widget, *_children(widget)]


def _children(widget: Widget) -> list[Widget]:
    """Of the choice that a dynamic combo is at."""
    inputs = (widget.children or {}).get(widget.value) or {}
    specs = {**(inputs.get("required") or {}), **(inputs.get("optional") or {})}
    return [row for name, spec in specs.items() for row in widgets_of(f"{widget.name}.{name}", spec)]


def _bounding_box(name: str, options: Options, _: list[Any]) -> list[Widget]:
    box = _default(options, BOX)
    return [Widget(name, box), *(Widget(side, box[side], sent=False) for side in BOX)]


def _curve(name: str, options: Options, _: list[Any]) -> list[Widget]:
    return [Widget(name, _default(options, CURVE), is_curve=True)]


def _with(default: Any, **more: Any) -> Callable[[str, Options, list[Any]], list[Widget]]:
    return lambda name, options, _: [Widget(name, _default(options, default), **more)]


def _default(options: Options, otherwise: Any) -> Any:
    value = options.get("default")
    return deepcopy(otherwise if value is None else value)


KINDS: dict[str, Callable[[str, Options, list[Any]], list[Widget]]] = {
    "INT": _int,
    "FLOAT": _float,
    "BOOLEAN": _with(False),
    "STRING": _string,
    "COMBO": _combo,
    DYNAMIC_COMBO: _dynamic_combo,
    "MARKDOWN": _with(""),
    "TEXTAREA": _with(""),
    "COLOR": _with("#000000"),
    "COLORS": _with([]),
    "BOUNDING_BOX": _bounding_box,
    "BOUNDING_BOXES": _with([]),
    "CURVE": _curve,
    "RANGE": _with({"min": 0.0, "max": 1.0}),
    "CHART": _with({}),
    "GALLERIA": _with([]),
    "PAINTER": _with(""),
    "IMAGECOMPARE": _with(["", ""], saved=False),
    "UPLOAD": _with("image", sent=False),
    "LOAD_3D": _with(""),
    "WEBCAM": _with(""),
    "AUDIO_RECORD": _with(""),
}


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
        self.rows[place:place] = _children(widget)

    def _grow_options(self, widget: Widget) -> None:
        """A combo whose choices the artist writes: behind the last that is written there is an empty one."""
        if re.fullmatch(r"option\d+", widget.name) and widget is self.rows[-1] and widget.value:
            self.rows.append(Widget(f"option{len(self.rows) - 1}", ""))
        written = [row.value for row in self.rows[2:]]
        self.rows[1].value = written.index(self.rows[0].value) if self.rows[0].value in written else -1

    def restore(self, values: list[Any] | dict[str, Any]) -> None:
        """By position, or by name where the node saved them so; a widget newer than the workflow keeps its default."""
        if isinstance(values, dict):
            for row in self.rows:
                self.set(row, values.get(row.name, row.value))
            return
        remaining, place = self._without_forced(values), 0
        while (row := self._nth_saved(place)) is not None and place < len(remaining):
            self.set(row, remaining[place])
            place += 1

    def _nth_saved(self, place: int) -> Widget | None:
        """Of the widgets as they are now: a dynamic combo before this one may have brought others."""
        saved = [row for row in self.rows if row.saved]
        return saved[place] if place < len(saved) else None

    def _without_forced(self, values: list[Any]) -> list[Any]:
        """Values of inputs that had a widget before they became sockets for good are saved by some workflows."""
        forced: list[bool] = []
        for name, spec in _unordered_specs(self._info):
            options = spec[1] if len(spec) > 1 else {}
            is_forced = bool(options.get("forceInput"))
            if is_forced or self.get(name) is not None:
                forced += [is_forced, False] if options.get("control_after_generate") else [is_forced]
        if len(forced) != len(values):
            return values
        return [value for value, is_forced in zip(values, forced, strict=True) if not is_forced]


def _unordered_specs(info: Options) -> Iterator[tuple[str, Spec]]:
    given = info["input"]
    required, optional = given.get("required") or {}, given.get("optional") or {}
    yield from required.items()
    yield from _uploads(required)
    yield from optional.items()
