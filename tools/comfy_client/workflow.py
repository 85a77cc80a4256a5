"""Saved workflows (the frontend's JSON, version 0.4) to prompts for POST /prompt, as the frontend does it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .client import Prompt

MUTED, BYPASSED = 2, 4
NOTES = {"Note", "MarkdownNote"}
FRONTEND_ONLY = {*NOTES, "Reroute", "PrimitiveNode"}
WIDGET_TYPES = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}
SEEDS = {"seed", "noise_seed"}
NOT_SUPPORTED = "COMFY_DYNAMICCOMBO_V3"

Node = dict[str, Any]


class WorkflowError(ValueError):
    """The workflow cannot become a prompt on this server."""


@dataclass(frozen=True)
class Literal:
    """A value instead of a link, from a PrimitiveNode."""

    value: Any


@dataclass(frozen=True)
class Widget:
    name: str
    default: Any
    extra: int  # values saved behind this widget's own: what to do with it after a run


def to_prompt(workflow: dict[str, Any], object_info: dict[str, Any]) -> Prompt:
    """Raises WorkflowError for a node type that ``object_info`` lacks, for subgraphs and for dynamic inputs."""
    _refuse_subgraphs(workflow)
    graph = _Graph(workflow)
    return {
        str(node["id"]): {"class_type": node["type"], "inputs": _inputs(node, graph, object_info)}
        for node in workflow["nodes"]
        if node["type"] not in FRONTEND_ONLY and node.get("mode") not in (MUTED, BYPASSED)
    }


def _refuse_subgraphs(workflow: dict[str, Any]) -> None:
    names = {graph["id"]: graph["name"] for graph in workflow.get("definitions", {}).get("subgraphs", [])}
    for node in workflow["nodes"]:
        if node["type"] in names:
            raise WorkflowError(f"Node {node['id']} is the subgraph {names[node['type']]!r}: not supported yet.")


def _inputs(node: Node, graph: "_Graph", object_info: dict[str, Any]) -> dict[str, Any]:
    if node["type"] not in object_info:
        raise WorkflowError(f"Node {node['id']} is a {node['type']!r}: this server has no such node type.")
    values = dict(_widget_values(node, list(_widgets(object_info[node["type"]]))))
    for entry in node.get("inputs", []):
        source = graph.source(entry.get("link"))
        if source is not None:
            values[entry["name"]] = source.value if isinstance(source, Literal) else source
    return values


class _Graph:
    def __init__(self, workflow: dict[str, Any]) -> None:
        self._nodes = {node["id"]: node for node in workflow["nodes"]}
        self._origins = {link[0]: (link[1], link[2]) for link in workflow["links"]}

    def source(self, link: int | None) -> list[Any] | Literal | None:
        """[node id, slot] of the node that really runs behind a link."""
        if link is None:
            return None
        origin, slot = self._origins[link]
        node = self._nodes[origin]
        if node["type"] == "PrimitiveNode":
            return Literal(node["widgets_values"][0])
        if node["type"] == "Reroute":
            return self.source(node["inputs"][0]["link"])
        if node.get("mode") == MUTED:
            return None
        if node.get("mode") == BYPASSED:
            return self.source(_bypass(node, slot))
        return [str(origin), slot]


def _bypass(node: Node, slot: int) -> int | None:
    """The link that a bypassed node's output stands for: the same slot's if its type fits, else the first that fits."""
    kind, inputs = node["outputs"][slot]["type"], node.get("inputs", [])
    fitting = [entry for entry in inputs[slot : slot + 1] + inputs if entry["type"] == kind]
    return fitting[0]["link"] if fitting else None


def _widgets(info: dict[str, Any]) -> Iterator[Widget]:
    for section in ("required", "optional"):
        for name, spec in info["input"].get(section, {}).items():
            kind, options = spec[0], spec[1] if len(spec) > 1 else {}
            if kind == NOT_SUPPORTED:
                raise WorkflowError(f"Input {name} of {info['name']} is a dynamic one: not supported yet.")
            is_combo = isinstance(kind, list) or kind == "COMBO"
            if (is_combo or kind in WIDGET_TYPES) and not options.get("forceInput"):
                yield Widget(name, _default(kind, options), _extra_values(name, kind, options, is_combo))


def _default(kind: str | list[Any], options: dict[str, Any]) -> Any:
    choices = kind if isinstance(kind, list) else options.get("options") or [None]
    return options.get("default", choices[0])


def _extra_values(name: str, kind: str | list[Any], options: dict[str, Any], is_combo: bool) -> int:
    """control_after_generate, and for a combo the filter that goes with it."""
    if not options.get("control_after_generate", kind == "INT" and name in SEEDS):
        return 0
    return 2 if is_combo else 1


def _widget_values(node: Node, widgets: list[Widget]) -> Iterator[tuple[str, Any]]:
    """By position, or by name where the node saved them so; a widget newer than the workflow has its default."""
    saved = node.get("widgets_values") or []
    if isinstance(saved, dict):
        yield from ((w.name, _literal(saved.get(w.name, w.default))) for w in widgets)
        return
    position = 0
    for widget in widgets:
        yield widget.name, _literal(saved[position] if position < len(saved) else widget.default)
        position += 1 + widget.extra


def _literal(value: Any) -> Any:
    """A list in a prompt is a link, unless it is wrapped."""
    return {"__value__": value} if isinstance(value, list) else value
