"""Workflows that come with the host: its templates, and its blueprints of subgraphs, one node of each."""

import json
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

FRONTEND_ONLY = {"Note", "MarkdownNote", "Reroute", "PrimitiveNode"}


def read_all() -> dict[str, dict[str, Any]]:
    """By name; files of the packages that are no workflow (their index, in many languages) are left out."""
    found = {path.stem: json.loads(path.read_text("utf-8")) for path in _template_files()}
    blueprints = Path(os.environ["COMFYUI_PATH"], "blueprints").glob("*.json")
    found |= {f"blueprint {path.stem}": json.loads(path.read_text("utf-8")) for path in sorted(blueprints)}
    return {name: workflow for name, workflow in found.items() if isinstance(workflow, dict) and "nodes" in workflow}


def read_one(name: str) -> dict[str, Any]:
    (path,) = (path for path in _template_files() if path.stem == name)
    return json.loads(path.read_text("utf-8"))


def _template_files() -> Iterator[Path]:
    package = find_spec("comfyui_workflow_templates_json")
    yield from sorted(Path(package.origin).parent.glob("templates/*.json"))


def unknown_types(workflow: dict[str, Any], object_info: dict[str, Any]) -> set[str]:
    """Node types of a workflow, in its subgraphs too, that the server does not have."""
    subgraphs = workflow.get("definitions", {}).get("subgraphs", [])
    known = {*object_info, *FRONTEND_ONLY, *(graph["id"] for graph in subgraphs)}
    return {node["type"] for graph in [workflow, *subgraphs] for node in graph["nodes"]} - known
