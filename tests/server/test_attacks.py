"""Questions that nobody asks in good faith, prompts that no frontend writes: a sentence, and the server goes on."""

import asyncio
import gzip
import json
import socket
from collections import Counter
from copy import deepcopy

import aiohttp
import pytest
from comfy_client import ComfyClient, PromptFailed, PromptRefused, to_prompt
from demo.variants import node_id

pytestmark = pytest.mark.server

QUESTION = {"node": "4", "mode": "target speed", "speed": 2.5, "tolerance": 0.003, "sampling": {"steps": 50}}
AT_ONCE = 1000


async def post(session, body, **headers):
    async with session.post("/hicache/plan", data=body, headers=headers) as response:
        return response.status, await response.json()


def ask(host, body, **headers):
    async def one():
        async with aiohttp.ClientSession(host.server.url) as session:
            return await post(session, body, **headers)

    return asyncio.run(one())


def changed(**values):
    return json.dumps({**QUESTION, **values}).encode()


def with_steps(**values):
    return changed(sampling={"steps": 50, **values})


NESTED = b'{"sampling": ' * 2000 + b"1" + b"}" * 2000
HOSTILE = [
    (changed(speed=10**400), "speed is 1000"),
    (changed(speed=None), "speed is None"),
    (changed(speed={"__value__": [2.5]}), "speed is {"),
    (changed(tolerance=float("-inf")), "tolerance is -inf"),
    (changed(settings={"steps": 5}), "steps is 5"),
    (changed(settings={"steps": "9" * 5000}), "steps has '999"),
    (changed(settings={"order": 10**4000}), "order is 1000"),
    (changed(settings={"basis": "x" * 9000}), "basis is 'xxx"),
    (changed(mode="x" * 16_000), "mode is 'xxx"),
    (with_steps(steps=10**9), "steps is 1000000000"),
    (with_steps(steps=10**400), "steps is 1000"),
    (with_steps(denoise=float("nan")), "denoise is nan"),
    (with_steps(sampler_name=["euler"]), "sampler_name is ['euler']"),
    (changed(**{"x" * 9000: 1}), "question has 'xxx"),
    (changed(settings={"\n": 1}), r"settings has '\n' in it, which is unknown: leave it out."),
    (changed(sampling=[20]), "sampling is [20]: it must be an object."),
    (b"[1, 2]", "question is [1, 2]: it must be an object."),
    (b'{"speed": ' + b"9" * 6000 + b"}", ""),  # Python reads no such number
    (NESTED[:16_000], ""),
    (b'"' + b"\\u0000" * 2000 + b'"', ""),
    (b"", "does not say how long it is"),
]


@pytest.mark.parametrize(("body", "about"), HOSTILE, ids=lambda value: str(value)[:40])
def test_a_hostile_question_is_refused_with_a_short_sentence(host, body, about):
    status, answer = ask(host, body)
    assert status == 400
    assert about in answer["error"]
    assert len(answer["error"]) < 400
    assert "Traceback" not in answer["error"]


def test_the_longest_questions_are_answered(host):
    """Work is bounded: at most 10,000 steps, whatever is asked."""
    status, plan = ask(
        host, changed(sampling={"steps": 10_000}, settings={"steps": "0-9999," * 1500}, mode="listed steps")
    )
    assert (status, plan["total"]) == (200, 10_000)


def test_a_question_without_a_length_is_refused(host):
    async def pieces():
        for _ in range(3):
            yield b"x" * 10

    status, answer = ask(host, pieces())
    assert status == 400
    assert "does not say how long it is" in answer["error"]


def test_a_packed_question_is_refused_before_it_is_unpacked(host):
    status, answer = ask(host, gzip.compress(b" " * 10_000_000), **{"Content-Encoding": "gzip"})
    assert status == 400
    assert answer["error"] == "The question is packed: send it as it is."


@pytest.mark.parametrize("length", [16_385, 10**12])
def test_a_question_that_is_too_long_is_refused_before_it_is_sent(host, length):
    address, port = host.server.url.removeprefix("http://").split(":")
    with socket.create_connection((address, int(port)), timeout=20) as connection:
        connection.sendall(f"POST /hicache/plan HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 400")


def test_a_question_that_is_cut_off_holds_nothing_up(host):
    address, port = host.server.url.removeprefix("http://").split(":")
    with socket.create_connection((address, int(port)), timeout=20) as connection:
        connection.sendall(b"POST /hicache/plan HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{")
        assert ask(host, json.dumps(QUESTION))[0] == 200
    assert ask(host, json.dumps(QUESTION))[0] == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_other_methods_are_not_there(host, method):
    async def one():
        async with (
            aiohttp.ClientSession(host.server.url) as session,
            session.request(method, "/hicache/plan") as answer,
        ):
            return answer.status

    assert asyncio.run(one()) in (404, 405)


def test_runs_of_any_workflow_are_a_list(host):
    async def one():
        async with ComfyClient(host.server.url) as client:
            return [await client.get("/hicache/runs", workflow=name) for name in ("x" * 4000, "../..", "<b>", "\0")]

    assert asyncio.run(one()) == [[], [], [], []]


def memory(host):
    found = host.run({"1": {"class_type": "HiCacheTestMemory", "inputs": {}}}).outputs["1"]
    return found["held"], found["waiting"], sum(name.startswith("hicache") for name in found["threads"])


def test_a_thousand_questions_at_once(host):
    """Each gets an answer or is asked to come again; none is kept, and one thread makes all plans."""
    bodies = [json.dumps(QUESTION), with_steps(steps=10_000), with_steps(steps=10**9), HOSTILE[0][0], b"{"]
    bodies += [changed(node=f"{number}") for number in range(5)]

    async def all_of_them():
        connections = aiohttp.TCPConnector(limit=AT_ONCE)
        async with aiohttp.ClientSession(host.server.url, connector=connections) as session:
            return await asyncio.gather(*(post(session, bodies[k % len(bodies)]) for k in range(AT_ONCE)))

    assert ask(host, json.dumps(QUESTION))[0] == 200
    before, log = memory(host), len(host.server.log)
    answers = asyncio.run(all_of_them())
    statuses = Counter(status for status, _ in answers)
    assert sum(statuses.values()) == AT_ONCE
    assert statuses.keys() <= {200, 400, 429}
    assert statuses[200] > 0
    assert all(answer["error"] for status, answer in answers if status != 200)
    assert ask(host, json.dumps(QUESTION))[0] == 200
    assert memory(host) == before
    assert before[1:] == ([0], 1)
    assert "Error handling request" not in host.server.log[log:]


# --- prompts ---


@pytest.fixture
def prompt(host, example_prompt):
    """Four steps, with a HiCache Settings node and a report."""
    prompt = example_prompt(HiCachePatchModel={"settings": ["settings", 0]}, KSampler={"steps": 4})
    patch, sampler = node_id(prompt, "HiCachePatchModel"), node_id(prompt, "KSampler")
    report = {"model": [patch, 0], "samples": [sampler, 0], "scale": 1}
    return prompt | {
        "settings": {"class_type": "HiCacheSettings", "inputs": host.defaults("HiCacheSettings")},
        "report": {"class_type": "HiCacheReport", "inputs": report},
    }


REFUSED = [
    ("HiCachePatchModel", {"speed": "fast"}, "speed"),
    ("HiCachePatchModel", {"speed": 10**400}, ""),
    ("HiCachePatchModel", {"speed": None}, ""),
    ("HiCachePatchModel", {"speed": [1, 2, 3]}, "speed"),
    ("HiCachePatchModel", {"mode": 5}, "mode"),
    ("HiCachePatchModel", {"mode": None}, ""),
    ("HiCachePatchModel", {"settings": "abc"}, "settings is 'abc': connect HiCache Settings, or nothing."),
    ("HiCachePatchModel", {"settings": {"order": 2}}, "settings is {'order': 2}"),
    ("HiCachePatchModel", {"settings": ["nowhere", 0]}, ""),
    ("HiCachePatchModel", {"model": "abc"}, "attach needs a ComfyUI MODEL and got str."),
    ("HiCachePatchModel", {"tolerance": ...}, "tolerance"),
    ("HiCacheSettings", {"steps": "9" * 5000}, "steps has '999"),
    ("HiCacheSettings", {"steps": "x" * 100_000}, "steps has 'xxx"),
    ("HiCacheSettings", {"order": 10**400}, ""),
    ("HiCacheSettings", {"contraction": float("nan")}, "contraction is nan"),
    ("HiCacheSettings", {"warmup_steps": -1}, "-1"),
    ("HiCacheSettings", {"corrector": ...}, "corrector"),
    ("HiCacheReport", {"model": "abc"}, "HiCache Report found no run of this MODEL"),
]


@pytest.mark.parametrize(("class_type", "inputs", "about"), REFUSED, ids=lambda value: str(value)[:40])
def test_a_prompt_with_a_wrong_value_is_refused_or_fails_with_a_sentence(host, prompt, class_type, inputs, about):
    """``...`` is an input that is missing."""
    spoiled = deepcopy(prompt)
    node = spoiled[node_id(spoiled, class_type)]["inputs"]
    node.update(inputs)
    for name in [name for name, value in inputs.items() if value is ...]:
        del node[name]
    with pytest.raises((PromptRefused, PromptFailed)) as refused:
        host.run(spoiled)
    assert about in str(refused.value)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda node, saved: node["widgets_values"].__delitem__(slice(1, None)),  # saved before there were more widgets
        lambda node, saved: node["widgets_values"].extend([7, "nobody knows", None]),
        lambda node, saved: node.update({"nobody": {"knows": [1]}, "properties": {}}),
        lambda node, saved: saved.update({"nobody": 1, "extra": {}, "groups": []}),
    ],
)
def test_saved_workflows_with_missing_and_unknown_fields_run(host, workflow, spoil):
    saved = deepcopy(workflow)
    nodes = {node["type"]: node for node in saved["nodes"]}
    nodes["KSampler"]["widgets_values"][2] = 4
    spoil(nodes["HiCachePatchModel"], saved)
    assert len(host.run(to_prompt(saved, host.info)).images) == 6


def test_unknown_inputs_are_ignored(host, prompt):
    for node in prompt.values():
        if node["class_type"].startswith("HiCachePatch") or node["class_type"].startswith("HiCacheSettings"):
            node["inputs"] |= {"no such input": 1, "__class__": "x", "self": None}
    assert host.run(prompt).calls == [4] * 6
