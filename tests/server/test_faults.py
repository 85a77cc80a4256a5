"""A whole server in trouble: a long queue, a client that leaves, a stop in the middle of a run. A second server, where
every prompt is the first of its kind and comes in the reverse order, says what the pictures must be. With --long, 500
prompts, and the oldest host."""

import asyncio
import signal
import time
import uuid
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import islice

import aiohttp
import pytest
from comfy_client import ComfyClient, running_server, to_prompt
from demo.variants import READOUT, node_id, with_probe

pytestmark = pytest.mark.server

STEPS = 6
AT_ONCE = 12  # prompts in the queue
AT_MOST = (
    30.0  # seconds until a server is gone that was told to end: a busy machine takes some, a run of 1000 steps minutes
)
SEEDS = (1, 2)  # two prompts after each other share one patched MODEL
FLUX, QWEN = "UNETLoader", "HiCacheTestQwenImageLoader"
KINDS = [  # widgets of the Patch node and of HiCache Settings, and the model: neighbours differ in all of them
    ({"mode": "even intervals", "speed": 2.0}, {}, FLUX, "test"),
    ({"mode": "paper", "speed": 2.0}, {"warmup_steps": 2}, QWEN, "test"),
    ({"mode": "adaptive", "tolerance": 0.3}, {"level": "stack"}, FLUX, "train"),
    ({"mode": "target speed", "speed": 1.0}, {}, FLUX, "test"),
    ({"mode": "listed steps"}, {"steps": "0, 2, 3", "basis": "spectrum"}, QWEN, "train"),
    ({"mode": "even intervals", "speed": 3.0}, {"level": "block"}, FLUX, "train"),
]


def prompt_of(example, defaults, patch, settings, loader, split, seed, steps=STEPS):
    """The example without its pictures, whose latents are enough."""
    prompt = {
        k: n for k, n in deepcopy(example).items() if n["class_type"] not in ("VAELoader", "VAEDecode", "SaveImage")
    }
    model = {"split": split} if loader == QWEN else {"unet_name": f"small_flux_{split}.safetensors"}
    prompt[node_id(prompt, FLUX)] = {"class_type": loader, "inputs": {"weight_dtype": "default"} | model}
    prompt[node_id(prompt, "HiCachePatchModel")]["inputs"] |= patch | {"settings": ["settings", 0]}
    prompt["settings"] = {"class_type": "HiCacheSettings", "inputs": defaults | settings}
    sampler = node_id(prompt, "KSampler")
    prompt["first"] = {"class_type": "HiCacheTestFirst", "inputs": {"several": prompt[sampler]["inputs"]["positive"]}}
    first = {"positive": ["first", 0], "negative": ["first", 0]}
    prompt[sampler]["inputs"] |= {"seed": seed, "steps": steps, "cfg": 2.0, **first}
    prompt["digest"] = {"class_type": "HiCacheTestDigest", "inputs": {"latent": [sampler, 0]}}
    prompt["memory"] = {"class_type": "HiCacheTestMemory", "inputs": {"after": ["digest", 0]}}
    return with_probe(prompt, sampler)


@dataclass
class Story:
    """digests and calls: (number of the prompt, what it gave), in order; alive: bytes after each of them."""

    digests: list = field(default_factory=list)
    calls: list = field(default_factory=list)
    alive: list = field(default_factory=list)
    left: list = field(default_factory=list)  # by a client that was gone
    expected: list = field(default_factory=list)
    expected_calls: list = field(default_factory=list)
    ended_with: int = 0
    ended_after: float = 0.0  # seconds

    def note(self, number, outputs):
        self.digests.append((number, outputs["digest"]["digest"]))
        self.calls.append((number, outputs[READOUT]["calls"]))
        self.alive.append(outputs["memory"]["bytes"][0])


async def run_all(url, prompts, numbers, note):
    """Several in the queue at once, each from a tab of its own."""
    numbers = iter(numbers)
    async with ComfyClient(url) as client:
        while some := list(islice(numbers, AT_ONCE)):
            for number, entry in zip(some, await asyncio.gather(*(client.run(prompts[k]) for k in some)), strict=True):
                note(number, entry["outputs"])


async def begin(url, prompt):
    """Queues a prompt, and leaves in the middle of its run."""
    async with aiohttp.ClientSession(url) as session:
        client = uuid.uuid4().hex
        async with session.ws_connect("/ws", params={"clientId": client}) as socket:
            async with session.post("/prompt", json={"prompt": prompt, "client_id": client}) as answer:
                queued = (await answer.json())["prompt_id"]
            async for message in socket:
                if message.type == aiohttp.WSMsgType.TEXT and message.json()["type"] == "progress":
                    break
    return queued


async def outputs_of(url, queued):
    async with ComfyClient(url) as client:
        while queued not in (history := await client.get(f"/history/{queued}")):
            await asyncio.sleep(0.2)
    return history[queued]["outputs"]


@pytest.fixture(scope="module", params=["current", "oldest"])
def story(request, checkout, custom_nodes, workflow):
    long = request.config.getoption("--long")
    if request.param == "oldest" and not long:
        pytest.skip("with --long")
    path, told = checkout(request.param), Story()
    with running_server(path, custom_nodes) as server:
        info = asyncio.run(object_info(server.url))
        defaults = {
            name: options["default"] for name, (_, options) in info["HiCacheSettings"]["input"]["required"].items()
        }
        example = to_prompt(workflow, info)
        prompts = [prompt_of(example, defaults, *kind, seed) for kind in KINDS for seed in SEEDS]
        longest = prompt_of(example, defaults, *KINDS[2], seed=3, steps=1000)
        queue = [k % len(prompts) for k in range(500 if long else 3 * len(prompts))]
        asyncio.run(run_all(server.url, prompts, queue, told.note))
        told.left = asyncio.run(outputs_of(server.url, asyncio.run(begin(server.url, prompts[2]))))["digest"]["digest"]
        asyncio.run(begin(server.url, longest))
        told_to_end = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        told.ended_with = server.process.wait(60)
        told.ended_after = time.monotonic() - told_to_end
    with running_server(path, custom_nodes) as server:
        fresh = Story()
        queue = list(reversed(range(len(prompts))))  # else what one prompt leaves to the next would be in both servers
        asyncio.run(run_all(server.url, prompts, queue, fresh.note))
    told.expected, told.expected_calls = dict(fresh.digests), dict(fresh.calls)
    return told


async def object_info(url):
    async with ComfyClient(url) as client:
        return await client.object_info()


def test_every_picture_of_a_long_queue_is_that_of_a_fresh_server(story):
    assert len({str(words) for words in story.expected.values()}) == len(KINDS) * len(SEEDS)
    assert [(k, story.expected[k]) for k, _ in story.digests] == story.digests


def test_every_prompt_really_ran(story):
    assert all(len(calls) == 1 and calls[0] > 0 for _, calls in story.calls)
    assert [(k, story.expected_calls[k]) for k, _ in story.calls] == story.calls
    assert {calls[0] for calls in story.expected_calls.values()} >= {2, 3, 6}


def test_the_queue_leaves_no_byte_behind(story):
    """After the first round, the same prompt always finds the same bytes alive."""
    rounds = len(KINDS) * len(SEEDS)
    later = {k: {story.alive[j] for j in range(rounds, len(story.alive)) if j % rounds == k} for k in range(rounds)}
    assert all(len(sizes) == 1 for sizes in later.values()), later


def test_a_client_that_leaves_does_not_disturb_the_run(story):
    assert story.left == story.expected[2]


def test_a_server_ends_at_once_when_it_is_told_to_in_the_middle_of_a_run(story):
    assert story.ended_with == -signal.SIGTERM
    assert story.ended_after < AT_MOST
