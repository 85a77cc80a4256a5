"""Which widgets the frontend makes of the inputs of a node's definition."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

VIEWS_OF_3D = ("Preview3D", "SaveGLB")
SEEDS = ("seed", "noise_seed")
UPLOADS = ("image_upload", "video_upload", "animated_image_upload")
IN_BROWSER = "is recorded in the browser when the workflow is queued there"
CURVE = {"points": [[0, 0], [1, 1]], "interpolation": "monotone_cubic"}
BOX = {"x": 0, "y": 0, "width": 512, "height": 512}

Options = dict[str, Any]
Spec = list[Any]


@dataclass
class Widget:
    """saved: has a place among the values of a saved node. sent: is part of a prompt.

    children: by choice, the inputs that it brings (a dynamic combo). is_template: text such as "a {red|blue} hat".
    has_socket: can be linked, and so promoted; kind: its type. obstacle: why its value cannot be sent from here.
    """

    name: str
    value: Any
    saved: bool = True
    sent: bool = True
    choices: list[Any] = field(default_factory=list)
    children: dict[str, Options] | None = None
    is_template: bool = False
    is_curve: bool = False
    has_socket: bool = True
    kind: str = "*"
    obstacle: str = ""


def widgets_of(name: str, spec: Spec) -> list[Widget]:
    """None for a socket; more than one where the frontend puts others behind it, with values of their own."""
    options = spec[1] if len(spec) > 1 else {}
    if options.get("forceInput"):
        return []
    kind = "COMBO" if isinstance(spec[0], list) else options.get("widgetType") or spec[0]
    choices = spec[0] if isinstance(spec[0], list) else options.get("options") or []
    make = KINDS.get(kind)
    widgets = make(name, options, choices) if make else []
    for widget in widgets:
        if widget.name == name:
            widget.kind = "COMBO" if isinstance(spec[0], list) else spec[0]
            widget.has_socket = widget.has_socket and not options.get("socketless")
    return widgets


def ordered_specs(info: Options) -> Iterator[tuple[str, Spec]]:
    """The inputs of a node's definition as the frontend orders them, with those that it adds itself."""
    given = info["input"]
    specs = {**(given.get("required") or {}), **(given.get("optional") or {})}
    order = info.get("input_order") or {}
    names = [*(order.get("required") or []), *(order.get("optional") or [])]
    yield from ((name, specs[name]) for name in [*names, *(n for n in specs if n not in names)] if name in specs)
    yield from _added(info)


def unordered_specs(info: Options) -> Iterator[tuple[str, Spec]]:
    given = info["input"]
    yield from (given.get("required") or {}).items()
    yield from _added(info)
    yield from (given.get("optional") or {}).items()


def _added(info: Options) -> Iterator[tuple[str, Spec]]:
    """What the definition does not have: the frontend puts it behind the required inputs."""
    yield from _uploads(info["input"].get("required") or {})
    if info["name"] in VIEWS_OF_3D:
        yield "image", ["PREVIEW_3D", {}]


def _uploads(required: dict[str, Spec]) -> Iterator[tuple[str, Spec]]:
    """The button for a file of one's own: it has a value, which means nothing."""
    for spec in required.values():
        options = spec[1] if len(spec) > 1 else {}
        if any(options.get(flag) for flag in (*UPLOADS, "audio_upload")):
            yield "upload", ["UPLOAD", {}]
            return


def _control(is_on: bool, filters: bool = False) -> list[Widget]:
    """What is to become of a value after the run, and for a combo which choices count."""
    if not is_on:
        return []
    names = ["control_after_generate", "control_filter_list"][: 2 if filters else 1]
    return [_unsent(name, "") for name in names]


def _unsent(name: str, value: Any) -> Widget:
    return Widget(name, value, sent=False, has_socket=False)


def _int(name: str, options: Options, _: list[Any]) -> list[Widget]:
    flag = options.get("control_after_generate")
    is_on = name in SEEDS if flag is None else bool(flag)
    return [Widget(name, _default(options, 0)), *_control(is_on)]


def _float(name: str, options: Options, _: list[Any]) -> list[Widget]:
    return [Widget(name, _default(options, 0)), *_control(bool(options.get("control_after_generate")))]


def _string(name: str, options: Options, _: list[Any]) -> list[Widget]:
    # What a choice of a dynamic combo brings comes after the frontend has looked for templates.
    is_template = options.get("dynamicPrompts") is True and "." not in name
    return [Widget(name, _default(options, ""), is_template=is_template)]


def _combo(name: str, options: Options, choices: list[Any]) -> list[Widget]:
    is_on, several = bool(options.get("control_after_generate")), bool(options.get("multi_select"))
    first = choices[0] if choices else "Loading..." if options.get("remote") else None
    value = [] if several else options.get("default") or first
    widget = Widget(name, value, choices=[] if several else choices)
    return [widget, *_control(is_on, filters=not several), *_remote(options)]


def _remote(options: Options) -> list[Widget]:
    """What comes with choices that the server is asked for anew."""
    remote = options.get("remote")
    if not remote:
        return []
    refresh = [_button("refresh", "refresh")] if remote.get("refresh_button") else []
    return [_unsent("Auto-refresh after generation", False), *refresh]


def _button(name: str, value: str) -> Widget:
    """The frontend does send these; nodes do not look at them."""
    return Widget(name, value, has_socket=False)


def _dynamic_combo(name: str, options: Options, _: list[Any]) -> list[Widget]:
    children = {row["key"]: row["inputs"] for row in options["options"]}
    widget = Widget(name, next(iter(children), None), choices=list(children), children=children)
    return [widget, *children_of(widget)]


def children_of(widget: Widget) -> list[Widget]:
    """Of the choice that a dynamic combo is at."""
    inputs = (widget.children or {}).get(widget.value) or {}
    specs = {**(inputs.get("required") or {}), **(inputs.get("optional") or {})}
    return [row for name, spec in specs.items() for row in widgets_of(f"{widget.name}.{name}", spec)]


def _bounding_box(name: str, options: Options, _: list[Any]) -> list[Widget]:
    box = _default(options, BOX)
    return [Widget(name, box), *(_unsent(side, box[side]) for side in BOX)]


def _curve(name: str, options: Options, _: list[Any]) -> list[Widget]:
    return [Widget(name, _default(options, CURVE), is_curve=True)]


def _load_3d(name: str, _: Options, __: list[Any]) -> list[Widget]:
    """Nodes that load have a picture of what the browser shows; those that show something start without."""
    if name != "image":
        return [Widget(name, "")]
    buttons = {"upload 3d model": "upload3dmodel", "upload extra resources": "uploadExtraResources", "clear": "clear"}
    return [*map(_button, buttons, buttons.values()), Widget(name, "", obstacle=IN_BROWSER)]


def _autogrow(name: str, options: Options, _: list[Any]) -> list[Widget]:
    """Sockets that grow as they are linked. Widgets that do are of no node of the host."""
    inputs = options["template"]["input"]
    specs = [*(inputs.get("required") or {}).items(), *(inputs.get("optional") or {}).items()]
    if not any(widgets_of(key, spec) for key, spec in specs):
        return []
    return [Widget(name, None, saved=False, has_socket=False, obstacle="grows fields, which only the browser can read")]


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
    "COMFY_DYNAMICCOMBO_V3": _dynamic_combo,
    "COMFY_AUTOGROW_V3": _autogrow,
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
    "PREVIEW_3D": _with(""),
    "LOAD_3D": _load_3d,
    "WEBCAM": _with("", obstacle=IN_BROWSER),
    "AUDIO_RECORD": _with("", obstacle=IN_BROWSER),
}
