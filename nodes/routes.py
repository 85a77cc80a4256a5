"""What the timeline in the browser asks the server: the plan of a run to come, and the runs that were."""

import asyncio
import inspect
import json
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, cast

from aiohttp import web

from ..hicache_comfy import Sampling, plan_ahead, runs_of
from ..hicache_core import Settings, shown
from .patch_model import modes
from .settings import from_widgets

_LONGEST = 16_384  # bytes of a question
_MOST_WAITING = 64  # questions
_MANY = 1000  # steps, of a run whose number of steps is not known
Handler = Callable[[web.Request], Awaitable[web.Response]]


async def plan(request: web.Request) -> web.Response:
    """POST the widgets of the Patch node, of HiCache Settings (or null) and of the sampler: the steps to compute."""
    if (request.content_length or _LONGEST + 1) > _LONGEST:
        return _refusal(f"The question is longer than {_LONGEST} bytes, or does not say how long it is.")
    if "Content-Encoding" in request.headers:  # a few bytes may unpack to gigabytes
        return _refusal("The question is packed: send it as it is.")
    if _planner.waiting >= _MOST_WAITING:
        return _refusal(f"{_MOST_WAITING} questions are waiting already: ask again later.", status=429)
    try:
        answer = await _planner.ask(json.loads(await request.read()))
    except (TypeError, ValueError, RecursionError) as error:  # SettingsError is a ValueError
        return _refusal(str(error))
    return web.json_response(answer)


class _Planner:
    """One plan at a time, in a thread of its own: the server has pictures to make, and other things for its threads.

    Long plans take a while, most of it in the host's own noise levels.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="hicache-plan")
        self.waiting = 0

    async def ask(self, question: Any) -> dict[str, Any]:
        self.waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, _answer, question)
        finally:
            self.waiting -= 1


_planner = _Planner()


def _answer(question: Any) -> dict[str, Any]:
    return _plan(**_fields("question", question, _plan))


def _fields(what: str, given: Any, taker: Callable[..., Any]) -> dict[str, Any]:
    """What is given by name; raises TypeError where it is no such thing, or has a name that ``taker`` does not take."""
    if not isinstance(given, dict):
        raise TypeError(f"{what} is {shown(given)}: it must be an object.")
    fields = cast("dict[str, Any]", given)
    for name in fields.keys() - inspect.signature(taker).parameters.keys():
        raise TypeError(f"{what} has {shown(name)} in it, which is unknown: leave it out.")
    return fields


def _plan(
    mode: str,
    speed: float,
    tolerance: float,
    sampling: dict[str, Any] | None,
    settings: Any = None,
    node: str = "",
    workflow: str = "",
) -> dict[str, Any]:
    """sampling: None where only the run tells how many steps there are; then there are bounds, and no total."""
    Settings(speed=speed, tolerance=tolerance)  # they are validated here whatever the mode uses of them
    offered = modes()
    if not isinstance(mode, str) or mode not in offered:
        raise ValueError(f"mode is {shown(mode)}: choose one of {', '.join(offered)}.")
    given = None if settings is None else from_widgets(**_fields("settings", settings, Settings))
    chosen = offered[mode].settings(given, speed, tolerance)
    if sampling is None:
        return {"total": None, "speedup": _bound(chosen), "message": "", "settings": chosen.fingerprint}
    plan = plan_ahead(chosen, Sampling(**_fields("sampling", sampling, Sampling)), str(node), str(workflow))
    return {**asdict(plan), "settings": chosen.fingerprint}


def _bound(settings: Settings) -> float | None:
    """By how much calls become fewer at most, in a run of many steps; None where the steps are listed."""
    return None if settings.schedule == "listed" else _MANY / plan_ahead(settings, Sampling(_MANY)).fewest


async def runs(request: web.Request) -> web.Response:
    """GET the latest runs of the workflow with this id."""
    return web.json_response(runs_of(request.query.get("workflow", "")))


def _refusal(reason: str, status: int = 400) -> web.Response:
    return web.json_response({"error": reason}, status=status)


ROUTES: dict[tuple[str, str], Handler] = {("POST", "/hicache/plan"): plan, ("GET", "/hicache/runs"): runs}


def register(table: web.RouteTableDef) -> None:
    """With the host's routes; what another copy of the pack has registered stays, the server would not start twice."""
    there = {(route.method, route.path) for route in table if isinstance(route, web.RouteDef)}
    for (method, path), handler in ROUTES.items():
        if (method, path) not in there:
            table.route(method, path)(handler)
