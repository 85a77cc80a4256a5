"""A saved workflow to a prompt for POST /prompt, as the frontend's "Export (API)" makes it."""

from typing import Any

from . import primitives
from .document import Document, Node, read
from .errors import WorkflowError
from .graph import FRONTEND_ONLY, FlatGraph, Place, Value
from .promoted import Promoted
from .text import choose, fill_in
from .widgets import Widget, Widgets

Prompt = dict[str, dict[str, Any]]
NodeWidgets = dict[tuple[str, str], Widgets]

SAVERS = {
    *("SaveImage", "SaveImageAdvanced", "SaveSVGNode", "SaveVideo", "SaveAnimatedWEBP", "SaveWEBM"),
    *("SaveAudio", "SaveAudioMP3", "SaveAudioOpus", "SaveAudioAdvanced"),
    *("SaveGLB", "Save3DAdvanced", "SaveGaussianSplat", "SavePointCloud"),
}


def to_prompt(workflow: dict[str, Any], object_info: dict[str, Any]) -> Prompt:
    """Raises WorkflowError, which names the node, for what cannot become a prompt on this server.

    object_info: the server's /object_info. Every node of the prompt has its title in ``_meta``.
    """
    return _Conversion(read(workflow), object_info).prompt()


class _Conversion:
    def __init__(self, document: Document, object_info: dict[str, Any]) -> None:
        self._document, self._info = document, object_info
        self._widgets = _restored(document, object_info)
        promoted = Promoted(document, self._widgets)
        primitives.give_values(document, self._widgets, promoted, self._fill_in)
        self._flat = FlatGraph(document, promoted)

    def prompt(self) -> Prompt:
        prompt = {place.id: self._node(place) for place in self._flat.running()}
        for node in prompt.values():
            node["inputs"] = {name: v for name, v in node["inputs"].items() if not _is_dangling(v, prompt)}
        return prompt

    def _node(self, place: Place) -> dict[str, Any]:
        node = place.node
        if node.kind not in self._info:
            raise WorkflowError(f"{place} is a {node.kind!r}: this server has no such node type.")
        title = node.title or self._info[node.kind].get("display_name") or node.kind
        return {"inputs": self._inputs(place), "class_type": node.kind, "_meta": {"title": title}}

    def _inputs(self, place: Place) -> dict[str, Any]:
        widgets = self._widgets[place.graph.id, place.node.id]
        inputs = {row.name: self._sent(place.node, row) for row in widgets.rows if row.sent}
        for slot in place.node.inputs:
            source = self._flat.source(place, slot)
            if source is not None:
                inputs[slot.name] = _literal(source.value) if isinstance(source, Value) else source
        return inputs

    def _sent(self, node: Node, widget: Widget) -> Any:
        value = widget.value
        if isinstance(value, str) and widget.is_template:
            return choose(value)
        if isinstance(value, str) and widget.name == "filename_prefix" and node.kind in SAVERS:
            return self._fill_in(value)
        return _literal(value, widget.is_curve)

    def _fill_in(self, text: str) -> str:
        return fill_in(text, self._value_of)

    def _value_of(self, name: str, widget: str) -> Any:
        """Of a node by the name that it has for such texts, else by its title."""
        for is_meant in (self._is_called, self._is_titled):
            for (graph, key), widgets in self._widgets.items():
                if is_meant(self._node_of(graph, key), name):
                    row = widgets.get(widget)
                    return None if row is None else "" if row.value is None else row.value
        return None

    def _node_of(self, graph_id: str, key: str) -> Node:
        (graph,) = (graph for graph in self._document.graphs if graph.id == graph_id)
        return graph.nodes[key]

    def _is_called(self, node: Node, name: str) -> bool:
        default = None if node.kind in SAVERS else node.kind
        return node.properties.get("Node name for S&R", default) == name

    def _is_titled(self, node: Node, name: str) -> bool:
        return (node.title or self._info[node.kind].get("display_name") or node.kind) == name


def _restored(document: Document, object_info: dict[str, Any]) -> NodeWidgets:
    """The widgets of every node that the server knows, with the values of the workflow."""
    found: NodeWidgets = {}
    for graph in reversed(document.graphs):
        for node in graph.nodes.values():
            if node.kind in object_info and node.kind not in FRONTEND_ONLY and not document.subgraph_of(node):
                found[graph.id, node.id] = widgets = Widgets(object_info[node.kind])
                widgets.restore(node.values)
    return found


def _literal(value: Any, is_curve: bool = False) -> Any:
    """A list in a prompt is a link, unless it is wrapped."""
    if not isinstance(value, list):
        return value
    return {"__type__": "CURVE", "__value__": value} if is_curve else {"__value__": value}


def _is_dangling(value: Any, prompt: Prompt) -> bool:
    return isinstance(value, list) and value[0] not in prompt
