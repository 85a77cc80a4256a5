"""Promoted widgets: inputs of a subgraph's instance with a value, which is sent in place of the inner widget's."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .document import SUBGRAPH_INPUTS, Document, Graph, Link, Node, Slot
from .kinds import Widget
from .widgets import Widgets

OLD_PREFIX = re.compile(r"^\s*(\d+)\s*:\s*(.+)$")
NOTHING = object()


@dataclass
class Entry:
    """Of the list ``proxyWidgets``, by which instances named their promoted widgets before these were inputs."""

    source: str  # id of a node inside
    name: str  # of its widget
    value: Any
    deepest: str | None  # where the widget is inside that node, if it is a subgraph

    @property
    def is_filled(self) -> bool:
        return self.value is not NOTHING and self.value is not None


class Promoted:
    """``values``: by instance (id of its graph, id of its node) and by the name of the input.

    Definitions of subgraphs get the inputs and links that the frontend gives them for promotions of the older kind.
    """

    def __init__(self, document: Document, widgets: dict[tuple[str, str], Widgets]) -> None:
        self._document, self._widgets = document, widgets
        self._instances: dict[str, list[tuple[Graph, Node]]] = defaultdict(list)
        self.values: dict[tuple[str, str], dict[str, Any]] = {}
        for graph in document.graphs:
            instances = [node for node in graph.nodes.values() if document.subgraph_of(node)]
            for node in instances:
                self._configure(graph, node)
            for node in instances:
                self._migrate(graph, node)

    def _configure(self, graph: Graph, node: Node) -> None:
        """Its inputs are those of the definition; values are saved in their order."""
        inside = self._document.subgraphs[node.kind]
        saved = {slot.name: slot.links for slot in node.inputs}
        node.inputs = [Slot(slot.name, slot.kind, saved.get(slot.name, [])) for slot in inside.inputs]
        values = self.values[graph.id, node.id] = {}
        for slot in inside.inputs:
            if (value := self._inner_value(inside, slot)) is not NOTHING:
                values[slot.name] = value
        values.update(zip(list(values), node.values, strict=False))
        values.update(_set_aside(node, values))
        self._instances[node.kind].append((graph, node))

    def _inner_value(self, inside: Graph, slot: Slot) -> Any:
        """Of the first widget that a subgraph's input leads to."""
        for node, entry in inside.leading_to(slot):
            value = self._value(inside, node, entry.name)
            if value is not NOTHING:
                return value
        return NOTHING

    def _value(self, graph: Graph, node: Node, name: str) -> Any:
        if self._document.subgraph_of(node):
            return self.values[graph.id, node.id].get(name, NOTHING)
        widget = self._widget(graph, node, name)
        return widget.value if widget else NOTHING

    def _widget(self, graph: Graph, node: Node, name: str) -> Widget | None:
        widgets = self._widgets.get((graph.id, node.id))
        return widgets.get(name) if widgets else None

    def _migrate(self, graph: Graph, node: Node) -> None:
        """The older kind of promotion becomes inputs, as the frontend does when it opens such a workflow."""
        entries = self._entries(node)
        plans = [self._plan(node, entry) for entry in entries]
        primitives: dict[str, list[Entry]] = defaultdict(list)
        for entry, plan in zip(entries, plans, strict=True):
            if plan == "primitive":
                primitives[entry.source].append(entry)
            elif plan == "widget":
                self._promote(graph, node, entry)
            elif plan is not None:
                self._fill(graph, node, plan, entry)
        for source, group in primitives.items():
            self._promote_primitive(graph, node, source, group)

    def _entries(self, node: Node) -> list[Entry]:
        inside = self._document.subgraphs[node.kind]
        promoted = node.properties.get("proxyWidgets") or []
        values = node.values if isinstance(node.values, list) else []
        found = []
        for place, (source, name, *more) in enumerate(promoted):
            value = values[place] if place < len(values) else NOTHING
            source, name, deepest = str(source), str(name), str(more[0]) if more else None
            while not self._leads_to_widget(inside, source, name) and (match := OLD_PREFIX.match(name)):
                deepest, name = match.groups()
            found.append(Entry(source, name, value, deepest))
        return found

    def _leads_to_widget(self, inside: Graph, source: str, name: str) -> bool:
        node = inside.nodes.get(source)
        return node is not None and self._value(inside, node, name) is not NOTHING

    def _plan(self, node: Node, entry: Entry) -> str | None:
        """ "input NAME" for one that there is already, "widget" or "primitive" for what to make one of, or None."""
        inside = self._document.subgraphs[node.kind]
        for slot in inside.inputs:
            if self._source(inside, slot) == (entry.source, entry.name):
                return f"input {slot.name}"
        source = inside.nodes.get(entry.source)
        if source is None:
            return f"input {entry.name}" if entry.source == "-1" else None
        if source.kind == "PrimitiveNode":
            marker = source.properties.get("proxyBypassedToSubgraphInput")
            return f"input {marker}" if any(slot.name == marker for slot in inside.inputs) else "primitive"
        return "widget" if self._inner_name(inside, source, entry) else None

    def _source(self, inside: Graph, slot: Slot) -> tuple[str, str] | None:
        """The node and the widget or input that a subgraph's input stands for."""
        for node, entry in inside.leading_to(slot):
            if self._document.subgraph_of(node) or self._widget(inside, node, entry.name):
                return node.id, entry.name
        return None

    def _inner_name(self, inside: Graph, source: Node, entry: Entry) -> str | None:
        """Of the input of a node inside that an entry means."""
        definition = self._document.subgraph_of(source)
        if definition is None:
            widget = self._widget(inside, source, entry.name)
            return entry.name if widget and widget.has_socket else None
        for slot in definition.inputs:
            node_id, name = self._source(definition, slot) or ("", "")
            is_meant = (node_id, name) == (entry.deepest, entry.name) if entry.deepest else name == entry.name
            if is_meant or (not entry.deepest and slot.name == entry.name):
                return slot.name
        return None

    def _fill(self, graph: Graph, node: Node, plan: str, entry: Entry) -> None:
        name, values = plan.removeprefix("input "), self.values[graph.id, node.id]
        if name in values and entry.is_filled:
            values[name] = entry.value

    def _promote(self, graph: Graph, node: Node, entry: Entry) -> None:
        inside = self._document.subgraphs[node.kind]
        source = inside.nodes[entry.source]
        name = self._inner_name(inside, source, entry)
        slot = source.input(name) if name else None
        if slot is not None:
            made = self._add_input(inside, entry.name, [(source, slot)])
            self._fill(graph, node, made, entry)

    def _promote_primitive(self, graph: Graph, node: Node, source: str, group: list[Entry]) -> None:
        """The input takes the place of the PrimitiveNode at everything that this leads to."""
        inside = self._document.subgraphs[node.kind]
        primitive = inside.nodes[source]
        slots = list(_targets(inside, primitive))
        kinds = {slot.kind for _, slot in slots} - {"*", *primitive.outputs}
        if not slots or (kinds and "*" not in primitive.outputs) or len({entry.name for entry in group}) > 1:
            return  # stays as it is
        title = primitive.title if primitive.title not in ("", "PrimitiveNode") else group[0].name
        made = self._add_input(inside, title, slots)
        primitive.properties["proxyBypassedToSubgraphInput"] = made.removeprefix("input ")
        for entry in [entry for entry in group if entry.is_filled][:1]:
            self._fill(graph, node, made, entry)

    def _add_input(self, inside: Graph, name: str, targets: list[tuple[Node, Slot]]) -> str:
        """To a definition, and so to all its instances, which have the inner widget's value there."""
        unique, names, count = name, {slot.name for slot in inside.inputs}, 1
        while unique in names:
            unique, count = f"{name}_{count}", count + 1
        slot = Slot(unique, targets[0][1].kind if targets else "*")
        for node, entry in targets:
            number = max([*inside.links, 0]) + 1
            place = node.inputs.index(entry)
            inside.links[number] = Link(number, SUBGRAPH_INPUTS, len(inside.inputs), node.id, place)
            entry.links = [number]
            slot.links.append(number)
        inside.inputs.append(slot)
        self._tell_instances(inside, slot)
        return f"input {unique}"

    def _tell_instances(self, inside: Graph, slot: Slot) -> None:
        value = self._inner_value(inside, slot)
        for graph, node in self._instances[inside.id]:
            node.inputs.append(Slot(slot.name, slot.kind))
            if value is not NOTHING:
                self.values[graph.id, node.id][slot.name] = value


def _targets(inside: Graph, primitive: Node) -> Iterator[tuple[Node, Slot]]:
    """By the number of the input, as the frontend does: wrong where a workflow left out inputs of a node.

    Behind a dynamic combo the frontend has counted anew.
    """
    for link in inside.links.values():
        target = inside.nodes.get(link.target) if link.origin == primitive.id else None
        slots = target.inputs if target else []
        place = next((place for place, slot in enumerate(slots) if link.id in slot.links), link.target_slot)
        if not any(slot.kind == "COMFY_DYNAMICCOMBO_V3" for slot in slots[:place]):
            place = link.target_slot
        if target is not None and place < len(slots):
            yield target, slots[place]


def _set_aside(node: Node, values: dict[str, Any]) -> dict[str, Any]:
    """Values that the frontend could not place once, and kept by the name of the input."""
    kept = {}
    for entry in reversed(node.properties.get("proxyWidgetErrorQuarantine") or []):
        source, name = entry["originalEntry"][:2]
        if source == "-1" and name in values and entry.get("hostValue") is not None:
            kept[name] = entry["hostValue"]
    return kept
