"""The runs that timelines in the browser show: sent to the tab that queued them, kept for a tab that opens later."""

import time
from collections import OrderedDict
from dataclasses import fields
from threading import Lock
from typing import Any

from . import executing
from ._core import Evaluation
from .events import Ended, Evaluated, Event, Started
from .plan import remember_latent

_KEPT = 64
_PAUSE = 0.25  # seconds between two messages of one run: each costs some 0.4 ms (docs/benchmarks/events.md)
_runs: OrderedDict[str, "_View"] = OrderedDict()
_lock = Lock()
_TOLD = tuple(field.name for field in fields(Evaluation) if field.name != "sigma")  # that may be infinite: no JSON


def show(node: str, settings: str, event: Event) -> None:
    """A listener for ``attach``, with the id of the node that shows the run and the fingerprint of its settings."""
    if isinstance(event, Started):
        remember_latent(node, event.shape)
        _keep(_View(node, settings, event))
    view = _runs.get(event.run)
    if view is not None:
        view.take(event)


def runs_of(workflow: str) -> list[dict[str, Any]]:
    """What is known of a workflow's latest runs, the oldest first."""
    with _lock:
        return [view.as_dict() for view in _runs.values() if view.about["workflow"] == workflow]


def _keep(view: "_View") -> None:
    """One run for each pair of a Patch node and a sampler."""
    where = ("workflow", "node", "sampler")
    with _lock:
        for run, other in list(_runs.items()):
            if all(other.about[name] == view.about[name] for name in where):
                del _runs[run]
        _runs[view.about["run"]] = view
        while len(_runs) > _KEPT:
            _runs.popitem(last=False)


class _View:
    """One run in plain data."""

    def __init__(self, node: str, settings: str, start: Started) -> None:
        sampler, prompt = executing.node_and_prompt()
        self.about = {
            "run": start.run,
            "node": node,
            "settings": settings,
            "sampler": sampler,
            "workflow": executing.workflow(),
            "prompt_id": prompt,
            "total": start.total,
            "planned": sorted(start.plan.computed),
            "adaptive": start.plan.controller is not None,
        }
        self._evaluations: list[Evaluation] = []
        self._report: dict[str, Any] | None = None
        self._sent, self._sent_at = 0, 0.0

    def take(self, event: Event) -> None:
        if isinstance(event, Started):
            self._sent_at = time.monotonic()
            _send("hicache.started", self.as_dict())
        elif isinstance(event, Evaluated):
            self._evaluations.append(event.evaluation)
            if time.monotonic() - self._sent_at >= _PAUSE:
                self._send_new("hicache.evaluated")
        elif isinstance(event, Ended):
            self._report = {**event.report.totals(), "finished": event.finished}
            self._send_new("hicache.ended", report=self._report)

    def as_dict(self) -> dict[str, Any]:
        return {**self.about, "evaluations": _plain(self._evaluations), "report": self._report}

    def _send_new(self, what: str, **more: Any) -> None:
        """Those evaluations that were not sent yet, and from which one on."""
        new = {"first": self._sent, "evaluations": _plain(self._evaluations[self._sent :])}
        self._sent, self._sent_at = len(self._evaluations), time.monotonic()
        _send(what, {name: self.about[name] for name in ("run", "prompt_id")} | new | more)


def _plain(evaluations: list[Evaluation]) -> list[dict[str, Any]]:
    """Not by asdict, which looks into every value."""
    return [{name: getattr(evaluation, name) for name in _TOLD} for evaluation in evaluations]


def _send(event: str, data: dict[str, Any]) -> None:
    """To the one tab that queued the prompt; without one nobody looks."""
    host = executing.host()
    if host is not None and host.client_id is not None:
        host.send_sync(event, data, host.client_id)
