"""A workflow's file: the API format as it is, or a saved one, which a server's node definitions complete."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import Refusal
from .saved import WorkflowError, to_prompt

Prompt = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Workflow:
    path: Path
    content: dict[str, Any]

    @property
    def is_prompt(self) -> bool:
        """Whether it is in the API format, so that it needs no server to be understood."""
        return "nodes" not in self.content

    def prompt(self, object_info: dict[str, Any]) -> Prompt:
        """Raises Refusal if this server cannot run it."""
        if self.is_prompt:
            self._require_types(object_info)
            return self.content
        try:
            return to_prompt(self.content, object_info)
        except WorkflowError as error:
            raise Refusal(f"{self.path}: {error}") from error
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            found = f"{type(error).__name__}: {error}"
            raise Refusal(f"{self.path} is damaged ({found}): save it again in ComfyUI.") from error

    def _require_types(self, object_info: dict[str, Any]) -> None:
        for key, node in self.content.items():
            if node["class_type"] not in object_info:
                what = f"Node {key} is a {node['class_type']!r}: this server has no such node type"
                raise Refusal(f"{self.path}: {what}; install its pack.")


def read_workflow(path: Path) -> Workflow:
    """Raises Refusal for a file that is missing, no JSON, or no workflow."""
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise Refusal(f"Cannot read the workflow {path} ({error.strerror}): name one that is there.") from error
    except (ValueError, RecursionError) as error:
        raise Refusal(f"The workflow {path} is no JSON ({error}): save it again in ComfyUI.") from error
    if not isinstance(content, dict) or not _is_workflow(content):
        raise Refusal(f"{path} is no ComfyUI workflow: save one with Save or Export (API) in ComfyUI.")
    return Workflow(path, content)


def _is_workflow(content: dict[str, Any]) -> bool:
    if "nodes" in content:
        return isinstance(content["nodes"], list) and isinstance(content.get("links", []), list)
    nodes = content.values()
    return bool(content) and all(isinstance(n, dict) and isinstance(n.get("inputs"), dict) and _typed(n) for n in nodes)


def _typed(node: dict[str, Any]) -> bool:
    return isinstance(node.get("class_type"), str)
