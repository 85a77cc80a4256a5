"""Ids of nodes are made unique over all graphs of a workflow before they become a prompt's, as the frontend does."""

from typing import Any

Saved = dict[str, Any]


def make_unique(workflow: Saved, definitions: list[Saved]) -> None:
    """In place: nodes of subgraphs whose id another node has get a new one, above the last of the workflow."""
    used = {str(node["id"]) for node in workflow["nodes"]}
    last = _last_id(workflow)
    renamed: dict[str, dict[str, int]] = {}
    for graph in definitions:
        renamed[graph["id"]], last = _rename(graph["nodes"], used, last)
        _follow_links(graph.get("links") or [], renamed[graph["id"]])
    for graph in [workflow, *definitions]:
        _follow_promotions(graph["nodes"], renamed)


def _last_id(workflow: Saved) -> int:
    state = workflow.get("state") or {}
    return int(state.get("lastNodeId") or workflow.get("last_node_id") or 0)


def _rename(nodes: list[Saved], used: set[str], last: int) -> tuple[dict[str, int], int]:
    """(new id by old id, last id)."""
    renamed: dict[str, int] = {}
    for node in nodes:
        key = str(node["id"])
        if key in used:
            last = _next_free(used, last)
            renamed[key] = node["id"] = last
        elif key.isdecimal():
            last = max(last, int(key))
        used.add(str(node["id"]))
    return renamed, last


def _next_free(used: set[str], last: int) -> int:
    last += 1
    while str(last) in used:
        last += 1
    return last


def _follow_links(links: list[Saved], renamed: dict[str, int]) -> None:
    for link in links:
        for end in ("origin_id", "target_id"):
            link[end] = renamed.get(str(link[end]), link[end])


def _follow_promotions(nodes: list[Saved], renamed: dict[str, dict[str, int]]) -> None:
    for node in nodes:
        promoted = (node.get("properties") or {}).get("proxyWidgets")
        for entry in promoted if isinstance(promoted, list) else []:
            entry[0] = str(renamed.get(node["type"], {}).get(str(entry[0]), entry[0]))
