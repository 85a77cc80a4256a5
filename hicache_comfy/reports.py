"""The reports of recent runs, for nodes that show them: bounded, no tensors."""

from collections import deque
from threading import Lock

from comfy.model_patcher import ModelPatcher

from ._core import RunReport
from .patch import KEY, Patch

_CAPACITY = 64
_reports: deque[tuple[str, RunReport]] = deque(maxlen=_CAPACITY)
_lock = Lock()


def store_report(patch: Patch, report: RunReport) -> None:
    with _lock:
        _reports.append((patch.id, report))


def last_report(model: ModelPatcher) -> RunReport | None:
    """The report of the latest run of a patched MODEL (or a clone of it), None if it has not run lately."""
    patch = model.get_attachment(KEY)
    with _lock:
        return next((report for key, report in reversed(_reports) if patch is not None and key == patch.id), None)
