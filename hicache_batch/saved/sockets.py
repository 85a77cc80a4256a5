"""Inputs and outputs of a node as its definition has them: workflows leave out some, and bypassing counts them."""

from .document import Node, Slot
from .kinds import Options, Spec, ordered_specs, widgets_of
from .widgets import Widgets


def complete(node: Node, info: Options, widgets: Widgets) -> None:
    """In place: sockets first, then what has a widget, then what only the workflow knows; types as defined."""
    saved = {slot.name: slot for slot in node.inputs}
    specs = [(name, spec) for name, spec in ordered_specs(info) if not widgets_of(name, spec)]
    defined = [slot for name, spec in specs for slot in _sockets(name, spec, node)]
    defined += [Slot(row.name, row.kind) for row in widgets.rows if row.has_socket]
    for slot in defined:
        slot.links = saved.pop(slot.name).links if slot.name in saved else []
    node.inputs = [*defined, *saved.values()]
    for place, kind in enumerate(info.get("output") or []):
        if place < len(node.outputs) and kind != "COMFY_MATCHTYPE_V3":
            node.outputs[place] = "COMBO" if isinstance(kind, list) else kind


def _sockets(name: str, spec: Spec, node: Node) -> list[Slot]:
    if spec[0] == "COMFY_AUTOGROW_V3":
        return [Slot(slot.name, slot.kind) for slot in node.inputs if slot.name.startswith(f"{name}.")]
    if spec[0] == "COMFY_MATCHTYPE_V3":
        saved = node.input(name)  # has the type of what it is linked to, and of the sockets that must match it
        return [Slot(name, saved.kind if saved else spec[1]["template"]["allowed_types"])]
    return [Slot(name, "COMBO" if isinstance(spec[0], list) else spec[0])]
