"""One flat graph of what runs: instances of subgraphs opened, and for every link the node that really feeds it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .document import BYPASSED, MUTED, SUBGRAPH_INPUTS, SUBGRAPH_OUTPUTS, Document, Graph, Link, Node, Slot
from .errors import WorkflowError
from .promoted import Promoted

NOTES = {"Note", "MarkdownNote"}
FRONTEND_ONLY = {*NOTES, "Reroute", "PrimitiveNode"}
ANY = ("*", "", "0")


@dataclass(frozen=True)
class Value:
    """Instead of a link: what is set at an instance of a subgraph."""

    value: Any


Source = list[Any] | Value | None  # [node id, slot], or a value, or nothing


@dataclass(frozen=True)
class Place:
    """A node in the flat graph. owner: the instance of the subgraph that it is in."""

    node: Node
    graph: Graph
    owner: "Place | None" = None

    @property
    def id(self) -> str:
        return f"{self.owner.id}:{self.node.id}" if self.owner else self.node.id

    def __str__(self) -> str:
        title = f" ({self.node.title})" if self.node.title else ""
        return f"Node {self.id}{title}"


class FlatGraph:
    def __init__(self, document: Document, promoted: Promoted) -> None:
        self._document, self._promoted = document, promoted
        self._places = {place.id: place for place in self._open(document.root, None)}

    def _open(self, graph: Graph, owner: Place | None) -> Iterator[Place]:
        for node in graph.nodes.values():
            place = Place(node, graph, owner)
            yield place
            inside = self._document.subgraph_of(node)
            # As in the frontend: one that is off inside another subgraph does not switch off what is in it.
            if inside is not None and (owner is not None or not node.is_off):
                yield from self._open(inside, place)

    def running(self) -> Iterator[Place]:
        for place in self._places.values():
            node = place.node
            if node.kind not in FRONTEND_ONLY and not node.is_off and not self._document.subgraph_of(node):
                yield place

    def source(self, place: Place, slot: Slot) -> Source:
        return self._into(place, slot, slot.kind, ())

    def _into(self, place: Place, slot: Slot, kind: str, seen: tuple[Any, ...]) -> Source:
        """What feeds an input. kind: the type that is wanted in the end."""
        if slot.link is None:
            return None
        step = (place.id, "in", slot.name)
        if step in seen:
            raise WorkflowError(f"{place} feeds its own input {slot.name!r}: no node can be its own source.")
        link = self._link(place, slot.link, slot.name)
        if link.origin == SUBGRAPH_INPUTS and place.owner is not None:
            return self._from_outside(place.owner, link.origin_slot, (*seen, step))
        origin = self._beside(place, link.origin)
        if origin is None:
            raise WorkflowError(f"{place} gets {slot.name!r} from node {link.origin}, which the workflow has not.")
        return self._out_of(origin, link.origin_slot, kind, (*seen, step))

    def _from_outside(self, owner: Place, number: int, seen: tuple[Any, ...]) -> Source:
        if number >= len(owner.node.inputs):
            raise WorkflowError(f"{owner} has no input {number}, which a node in its subgraph is linked to.")
        slot = owner.node.inputs[number]
        if slot.link is not None:
            return self._into(owner, slot, slot.kind, seen)
        values = self._promoted.values[owner.graph.id, owner.node.id]
        return Value(values[slot.name]) if slot.name in values else None

    def _out_of(self, place: Place, number: int, kind: str, seen: tuple[Any, ...]) -> Source:
        """What gives an output: the node itself, or what it only passes on."""
        node = place.node
        if node.mode == MUTED or node.kind in NOTES:
            return None
        if node.mode == BYPASSED:
            slot = _bypass(node, number, kind)
            return self._into(place, slot, slot.kind, seen) if slot else None
        if self._document.subgraph_of(node):
            return self._from_inside(place, number, kind, seen)
        if node.kind == "PrimitiveNode":  # has given its value to the widget already
            return None
        if node.kind == "Reroute":
            return self._into(place, node.inputs[0], kind, seen) if node.inputs else None
        return [place.id, number]

    def _from_inside(self, place: Place, number: int, kind: str, seen: tuple[Any, ...]) -> Source:
        inside = self._document.subgraphs[place.node.kind]
        if number >= len(inside.outputs):
            raise WorkflowError(f"{place} has no output {number}, which another node is linked to.")
        links = [inside.links[key] for key in inside.outputs[number].links if key in inside.links]
        if not links:
            return None
        if links[0].origin == SUBGRAPH_INPUTS:
            return self._from_outside(place, links[0].origin_slot, seen)
        origin = self._places.get(f"{place.id}:{links[0].origin}")
        return self._out_of(origin, links[0].origin_slot, kind, seen) if origin else None

    def _link(self, place: Place, number: int, name: str) -> Link:
        link = place.graph.links.get(number)
        if link is None or link.origin == SUBGRAPH_OUTPUTS:
            raise WorkflowError(f"{place} has a link {number} at {name!r}, which the workflow has not.")
        return link

    def _beside(self, place: Place, node_id: str) -> Place | None:
        return self._places.get(f"{place.owner.id}:{node_id}" if place.owner else node_id)


def _bypass(node: Node, number: int, kind: str) -> Slot | None:
    """The input that a bypassed node passes on at an output: the one beside it if it fits, else the first that does."""
    inputs = node.inputs
    beside = inputs[number] if number < len(inputs) else None
    if kind in ANY:
        return beside or (inputs[0] if inputs else None)
    given = node.outputs[number] if number < len(node.outputs) else "*"
    fitting = [slot for slot in inputs if fits(slot.kind, given) and fits(slot.kind, kind)]
    if beside is not None and any(slot is beside for slot in fitting):
        return beside
    exact = [slot for slot in inputs if slot.kind == kind]
    return next(iter(exact + fitting), None)


def fits(one: str, other: str) -> bool:
    """Whether the frontend links two types: "*" is any, "IMAGE,MASK" is either."""
    if one in ANY or other in ANY:
        return True
    return not set(one.lower().split(",")).isdisjoint(other.lower().split(","))
