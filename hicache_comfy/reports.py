"""The reports of recent runs, for nodes that show them: bounded, no tensors."""

from collections import deque
from collections.abc import Iterable
from threading import Lock

from comfy.model_patcher import ModelPatcher
from comfy_execution.utils import get_executing_context

from ._core import RunReport
from .patch import KEY, Patch

_CAPACITY = 64
_reports: deque[tuple[str, str, RunReport]] = deque(maxlen=_CAPACITY)  # of which patch and which sampler's node
_lock = Lock()


def store_report(patch: Patch, report: RunReport) -> None:
    """Of the run that just ended, in the thread that sampled."""
    context = get_executing_context()
    with _lock:
        _reports.append((patch.id, context.node_id if context else "", report))


def last_report(model: ModelPatcher, samplers: Iterable[str] = ()) -> RunReport | None:
    """The report of the latest run of a patched MODEL (or a clone of it), None if it has not run lately.

    samplers: ids of nodes; the latest run of the first of them that has sampled with the model is preferred.
    """
    patch = model.get_attachment(KEY) if isinstance(model, ModelPatcher) else None  # a prompt may hold anything here
    with _lock:
        mine = [(node, report) for key, node, report in reversed(_reports) if patch is not None and key == patch.id]
    by_node = {node: report for node, report in reversed(mine)}
    preferred = next((by_node[node] for node in samplers if node in by_node), None)
    return preferred or next((report for _, report in mine), None)
