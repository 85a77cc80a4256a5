"""A saved workflow as plain objects: graphs of nodes and links, whichever way the frontend wrote them down."""

import json
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from . import node_ids
from .errors import WorkflowError

MUTED, BYPASSED = 2, 4
SUBGRAPH_INPUTS = "-10"  # the id of what stands for a subgraph's own inputs among its nodes
SUBGRAPH_OUTPUTS = "-20"


@dataclass
class Slot:
    """An input of a node, or of a subgraph. links: of a subgraph's input all that leave it, else one at most."""

    name: str
    kind: str
    links: list[int] = field(default_factory=list)

    @property
    def link(self) -> int | None:
        return self.links[0] if self.links else None


@dataclass(frozen=True)
class Link:
    id: int
    origin: str
    origin_slot: int
    target: str
    target_slot: int


@dataclass
class Node:
    id: str
    kind: str
    title: str
    mode: int
    inputs: list[Slot]
    outputs: list[str]  # their types
    values: list[Any] | dict[str, Any]
    properties: dict[str, Any]

    @property
    def is_off(self) -> bool:
        return self.mode in (MUTED, BYPASSED)

    def input(self, name: str) -> Slot | None:
        return next((slot for slot in self.inputs if slot.name == name), None)


@dataclass
class Graph:
    """The workflow itself, or the definition of a subgraph, which all its instances share."""

    id: str
    name: str
    nodes: dict[str, Node]
    links: dict[int, Link]
    inputs: list[Slot]
    outputs: list[Slot]

    def leading_to(self, slot: Slot) -> Iterable[tuple[Node, Slot]]:
        """The inputs of nodes that a subgraph's input goes to."""
        for link in (self.links[number] for number in slot.links if number in self.links):
            node = self.nodes.get(link.target)
            yield from ((node, entry) for entry in (node.inputs if node else []) if link.id in entry.links)


@dataclass
class Document:
    root: Graph
    subgraphs: dict[str, Graph]  # those that others are made of come first

    @property
    def graphs(self) -> list[Graph]:
        return [*self.subgraphs.values(), self.root]

    def subgraph_of(self, node: Node) -> Graph | None:
        return self.subgraphs.get(node.kind)


def read(workflow: dict[str, Any]) -> Document:
    """Raises WorkflowError for what is no saved workflow."""
    try:
        return _read(workflow)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise WorkflowError(f"The workflow is damaged ({error!r}): save it anew in ComfyUI.") from error


def _read(workflow: dict[str, Any]) -> Document:
    if not isinstance(workflow.get("nodes"), list):
        raise WorkflowError('This is no saved workflow: it has no list of "nodes".')
    saved = deepcopy(workflow)
    definitions = _definitions(saved)
    node_ids.make_unique(saved, definitions)
    ordered = _leaves_first({graph["id"]: graph for graph in definitions})
    return Document(_graph(saved, "root"), {graph["id"]: _graph(graph, graph["id"]) for graph in ordered})


def _definitions(saved: dict[str, Any]) -> list[dict[str, Any]]:
    """Of subgraphs, those inside others too."""
    direct = (saved.get("definitions") or {}).get("subgraphs") or []
    return [*direct, *(inner for graph in direct for inner in _definitions(graph))]


def _leaves_first(definitions: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    ordered: dict[str, dict[str, Any]] = {}
    open_: list[str] = []

    def visit(key: str) -> None:
        if key in ordered:
            return
        if key in open_:
            raise WorkflowError(f"The subgraph {definitions[key].get('name', key)!r} contains itself.")
        open_.append(key)
        for node in definitions[key]["nodes"]:
            if node["type"] in definitions:
                visit(node["type"])
        ordered[open_.pop()] = definitions[key]

    for key in definitions:
        visit(key)
    return list(ordered.values())


def _graph(saved: dict[str, Any], key: str) -> Graph:
    nodes = {str(node["id"]): _node(node) for node in saved["nodes"]}
    links = {link.id: link for link in map(_link, saved.get("links") or [])}
    inputs = [_slot(slot, slot.get("linkIds")) for slot in saved.get("inputs") or []]
    outputs = [_slot(slot, slot.get("linkIds")) for slot in saved.get("outputs") or []]
    return Graph(key, saved.get("name", ""), nodes, links, inputs, outputs)


def _link(saved: list[Any] | dict[str, Any]) -> Link:
    """A list at the top of version 0.4, an object in subgraphs and in version 1."""
    if isinstance(saved, dict):
        saved = [saved[key] for key in ("id", "origin_id", "origin_slot", "target_id", "target_slot")]
    number, origin, origin_slot, target, target_slot = saved[:5]
    return Link(number, str(origin), int(origin_slot), str(target), int(target_slot))


def _node(saved: dict[str, Any]) -> Node:
    return Node(
        id=str(saved["id"]),
        kind=saved["type"],
        title=saved.get("title") or "",
        mode=saved.get("mode") or 0,
        inputs=[_slot(slot, [slot.get("link")]) for slot in saved.get("inputs") or []],
        outputs=[_kind(slot) for slot in saved.get("outputs") or []],
        values=saved.get("widgets_values") or [],
        properties=_properties(saved.get("properties") or {}),
    )


def _slot(saved: dict[str, Any], links: list[int | None] | None) -> Slot:
    return Slot(saved["name"], _kind(saved), [link for link in links or [] if link is not None])


def _kind(slot: dict[str, Any]) -> str:
    kind = slot.get("type", "*")
    return ",".join(map(str, kind)) if isinstance(kind, list) else str(kind)


def _properties(saved: dict[str, Any]) -> dict[str, Any]:
    """The promoted widgets of a subgraph were text for some time."""
    if isinstance(saved.get("proxyWidgets"), str):
        saved["proxyWidgets"] = json.loads(saved["proxyWidgets"])
    return saved
