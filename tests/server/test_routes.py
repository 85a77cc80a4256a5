"""What the timeline asks the server, and what the server tells it, without a browser."""

import asyncio
import json
from copy import deepcopy

import aiohttp
import pytest
from comfy_client import ComfyClient
from demo.variants import node_id

pytestmark = pytest.mark.server

QUESTION = {
    "node": "4",
    "mode": "target speed",
    "speed": 2.5,
    "tolerance": 0.003,
    "settings": None,
    "sampling": {"steps": 50, "sampler_name": "euler", "scheduler": "simple", "denoise": 1.0},
}


def ask(host, body, **headers):
    """(status, answer) of the route of plans."""

    async def post():
        async with aiohttp.ClientSession(host.server.url) as session:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            async with session.post("/hicache/plan", data=data, headers=headers) as response:
                return response.status, await response.json()

    return asyncio.run(post())


def changed(**values):
    question = deepcopy(QUESTION)
    for name, value in values.items():
        (question["sampling"] if name in ("steps", "sampler_name", "scheduler", "denoise") else question)[name] = value
    return question


def test_the_plan_of_the_default(host):
    status, plan = ask(host, QUESTION)
    assert status == 200
    assert (plan["total"], plan["fewest"], plan["most"], len(plan["computed"])) == (50, 20, 20, 20)


def test_the_widgets_of_settings_count(host):
    widgets = {**host.defaults("HiCacheSettings"), "warmup_steps": 8}
    _, plan = ask(host, changed(settings=widgets))
    assert plan["computed"][:8] == list(range(8))


def test_an_adaptive_plan_has_bounds(host):
    _, plan = ask(host, changed(mode="adaptive"))
    assert plan["fewest"] < plan["most"] == 50


@pytest.mark.parametrize(
    ("values", "speedup"),
    [
        ({}, 2.5),
        ({"speed": 1.0}, 1.0),
        ({"mode": "even intervals", "speed": 3.0}, pytest.approx(3.0, abs=0.01)),
        ({"mode": "listed steps", "settings": {"steps": "0, 4"}}, None),
    ],
    ids=str,
)
def test_where_only_the_run_tells_the_steps_there_is_a_bound(host, values, speedup):
    given = {"settings": {**host.defaults("HiCacheSettings"), **values.get("settings", {})}}
    status, plan = ask(host, {**QUESTION, **values, **given, "sampling": None})
    assert status == 200
    assert (plan["total"], plan["speedup"]) == (None, speedup)


def test_a_plan_says_whose_settings_it_is_of(host):
    """A number may come with a point or without; how it is sampled does not count."""
    same = [changed(speed=3), changed(speed=3.0), changed(speed=3, steps=20), {**changed(speed=3), "sampling": None}]
    assert len({ask(host, question)[1]["settings"] for question in same}) == 1
    others = [QUESTION, changed(speed=5), changed(mode="adaptive"), changed(tolerance=0.1)]
    assert len({ask(host, question)[1]["settings"] for question in others}) == 4


@pytest.mark.parametrize(
    ("body", "about"),
    [
        (changed(mode="fastest"), "mode is 'fastest': choose one of target speed"),
        (changed(mode=["target speed"]), "mode is ['target speed']"),
        (changed(speed=0.5), "speed is 0.5"),
        (changed(speed="fast"), "speed is 'fast'"),
        (changed(speed=float("nan")), "speed is nan"),
        (changed(speed=1e308), "speed"),
        (changed(tolerance=-1), "tolerance is -1"),
        (changed(steps=0), "steps is 0"),
        (changed(steps=10**9), "steps is 1000000000"),
        (changed(denoise=1e-9), "denoise"),
        (changed(scheduler=3), "scheduler is 3"),
        (changed(settings={"order": 99}), "order is 99"),
        (changed(settings={"steps": "0-99999999999"}), "steps has"),
        (changed(settings={"no such widget": 1}), "no such widget"),
        (changed(settings=[1, 2]), ""),
        (changed(extra=1), "extra"),
        ([], ""),
        (None, ""),
        (b"{", ""),
        (b"\xff\xfe", ""),
        (b"[" * 5000, ""),
        (b" " * 20_000, "longer than 16384 bytes"),
    ],
    ids=lambda value: str(value)[-30:],
)
def test_a_wrong_question_is_refused_with_a_sentence(host, body, about):
    status, answer = ask(host, body)
    assert status == 400
    assert about in answer["error"]
    assert ask(host, QUESTION)[0] == 200


@pytest.mark.parametrize("steps", [1, 2, 10_000])
def test_short_and_long_runs_have_a_plan(host, steps):
    status, plan = ask(host, changed(steps=steps))
    assert status == 200
    assert plan["total"] == steps


@pytest.fixture
def told(host, example_prompt):
    """Every message about a run of the example, and what the server keeps of it."""
    prompt, messages = example_prompt(KSampler={"steps": 12}), []

    async def run():
        async with ComfyClient(host.server.url) as client:
            await client.run(prompt, on_event=lambda kind, event: messages.append((kind, event)))
            return await client.get("/hicache/runs", workflow="")

    host.forget()
    kept = asyncio.run(run())
    ours = [(kind, event) for kind, event in messages if kind.startswith("hicache.")]
    return prompt, ours, kept


def test_the_tab_that_queued_a_run_is_told_of_it(told):
    prompt, messages, _ = told
    started = [event for kind, event in messages if kind == "hicache.started"]
    assert {event["node"] for event in started} == {node_id(prompt, "HiCachePatchModel")}
    assert {event["sampler"] for event in started} == {node_id(prompt, "KSampler")}
    assert [event["total"] for event in started] == [12] * 6  # pictures
    for run in {event["run"] for event in started}:
        evaluations = []
        for kind, event in messages:
            if kind != "hicache.started" and event["run"] == run:
                assert event["first"] == len(evaluations)
                evaluations += event["evaluations"]
        assert [one["step"] for one in evaluations] == list(range(12))
        assert sum(one["action"] == "computed" for one in evaluations) == 5


def test_the_last_message_has_the_totals(told):
    _, messages, _ = told
    ended = [event["report"] for kind, event in messages if kind == "hicache.ended"]
    assert [(report["calls"], report["forecasts"], report["finished"]) for report in ended] == [(5, 7, True)] * 6


def test_a_run_says_whose_settings_it_had(host, told):
    _, messages, kept = told
    started = [event for kind, event in messages if kind == "hicache.started"]
    assert {run["settings"] for run in (*started, *kept)} == {ask(host, QUESTION)[1]["settings"]}


def test_a_tab_that_comes_later_finds_the_run(told):
    _, messages, kept = told
    last = [event for kind, event in messages if kind == "hicache.ended"][-1]
    (found,) = (run for run in kept if run["run"] == last["run"])
    assert len(found["evaluations"]) == 12
    assert found["report"] == last["report"]


def test_runs_of_other_workflows_are_not_told(host, told):
    async def other():
        async with ComfyClient(host.server.url) as client:
            return await client.get("/hicache/runs", workflow="another")

    assert asyncio.run(other()) == []
