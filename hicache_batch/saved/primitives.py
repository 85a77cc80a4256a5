"""PrimitiveNodes: they run in the browser only, where they give their value to the widgets that they lead to."""

from collections.abc import Callable, Iterator
from typing import Any

from .document import Document, Graph, Node
from .promoted import Promoted
from .widgets import Widgets

REPLACE = "Run widget replace on values"


def give_values(
    document: Document,
    widgets: dict[tuple[str, str], Widgets],
    promoted: Promoted,
    fill_in: Callable[[str], str],
) -> None:
    """To the widgets of nodes, and to the promoted ones of instances. fill_in: where the node says so, for its text."""
    for graph in document.graphs:
        for node in graph.nodes.values():
            if node.kind == "PrimitiveNode" and isinstance(node.values, list) and node.values:
                value = node.values[0]
                if node.properties.get(REPLACE) and isinstance(value, str):
                    value = fill_in(value)
                for target, name in _targets(graph, node):
                    _give(graph, target, name, value, widgets, promoted)


def _targets(graph: Graph, primitive: Node) -> Iterator[tuple[Node, str]]:
    for link in graph.links.values():
        target = graph.nodes.get(link.target) if link.origin == primitive.id else None
        yield from ((target, slot.name) for slot in (target.inputs if target else []) if link.id in slot.links)


def _give(
    graph: Graph, target: Node, name: str, value: Any, widgets: dict[tuple[str, str], Widgets], promoted: Promoted
) -> None:
    key = graph.id, target.id
    if name in promoted.values.get(key, {}):
        promoted.values[key][name] = value
    elif key in widgets and (widget := widgets[key].get(name)) is not None:
        widgets[key].set(widget, value)
