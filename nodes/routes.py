"""What the timeline in the browser asks the server: the plan of a run to come, and the runs that were."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from aiohttp import web

from ..hicache_comfy import Sampling, plan_ahead, runs_of
from .patch_model import modes
from .settings import complaint, from_widgets

_LONGEST = 16_384  # bytes of a question
Handler = Callable[[web.Request], Awaitable[web.Response]]


async def plan(request: web.Request) -> web.Response:
    """POST the widgets of the Patch node, of HiCache Settings (or null) and of the sampler: the steps to compute."""
    if (request.content_length or _LONGEST + 1) > _LONGEST:
        return _refusal(f"The question is longer than {_LONGEST} bytes.")
    try:
        answer = await asyncio.to_thread(_plan, **json.loads(await request.read()))
    except (TypeError, ValueError, RecursionError) as error:  # SettingsError is a ValueError
        return _refusal(str(error))
    return web.json_response(answer)


def _plan(
    mode: str, speed: float, tolerance: float, sampling: dict[str, Any], settings: Any = None, node: str = ""
) -> dict[str, Any]:
    wrong = complaint(speed=speed, tolerance=tolerance)
    if wrong is not True:
        raise ValueError(wrong)
    offered = modes()
    if not isinstance(mode, str) or mode not in offered:
        raise ValueError(f"mode is {mode!r}: choose one of {', '.join(offered)}.")
    chosen = None if settings is None else from_widgets(**settings)
    return asdict(plan_ahead(offered[mode].settings(chosen, speed, tolerance), Sampling(**sampling), str(node)))


async def runs(request: web.Request) -> web.Response:
    """GET the latest runs of the workflow with this id."""
    return web.json_response(runs_of(request.query.get("workflow", "")))


def _refusal(reason: str) -> web.Response:
    return web.json_response({"error": reason}, status=400)


ROUTES: dict[tuple[str, str], Handler] = {("POST", "/hicache/plan"): plan, ("GET", "/hicache/runs"): runs}


def register(table: web.RouteTableDef) -> None:
    """With the host's routes; what another copy of the pack has registered stays, the server would not start twice."""
    there = {(route.method, route.path) for route in table if isinstance(route, web.RouteDef)}
    for (method, path), handler in ROUTES.items():
        if (method, path) not in there:
            table.route(method, path)(handler)
