"""The shipped example through a real server."""

import asyncio

import pytest
from comfy_client import ComfyClient, PromptFailed

pytestmark = pytest.mark.server

PICTURES = 6


def test_the_example_gives_six_pictures_from_twenty_network_calls_each(host, example_prompt):
    result = host.run(example_prompt())
    assert [image.size for image in result.images] == [(128, 128)] * PICTURES
    assert len(set(result.pixels)) == PICTURES
    assert result.calls == [20] * PICTURES


def test_speed_one_changes_no_pixel(host, example_prompt):
    patched = host.run(example_prompt(HiCachePatchModel={"speed": 1.0}, KSampler={"steps": 4}))
    bypassed = host.run(example_prompt(bypass=["HiCachePatchModel"], KSampler={"steps": 4}))
    assert patched.calls == bypassed.calls == [4] * PICTURES
    assert patched.pixels == bypassed.pixels


@pytest.mark.parametrize(
    ("widgets", "calls"),
    [
        ({"mode": "even intervals", "speed": 3.0}, 4),  # steps 0, 3, 6 and 9
        ({"mode": "adaptive", "tolerance": 0.0}, 10),
        ({"mode": "paper", "speed": 3.0}, 5),
    ],
)
def test_every_mode_reaches_the_sampler(host, example_prompt, widgets, calls):
    result = host.run(example_prompt(HiCachePatchModel=widgets, KSampler={"steps": 10}))
    assert result.calls == [calls] * PICTURES


def test_the_paper_mode_on_qwen_image_with_guidance(host, example_prompt):
    prompt = example_prompt(HiCachePatchModel={"mode": "paper", "speed": 7.0}, KSampler={"steps": 17, "cfg": 4.0})
    (loader,) = (key for key, node in prompt.items() if node["class_type"] == "UNETLoader")
    prompt[loader] = {"class_type": "HiCacheTestQwenImageLoader", "inputs": {"split": "test"}}
    without_pictures = {k: node for k, node in prompt.items() if node["class_type"] not in ("VAEDecode", "SaveImage")}
    assert host.run(without_pictures).calls == [5] * PICTURES  # steps 0, 1, 2, 9 and 16, both conditions in one call


def test_settings_reach_the_sampler(host, example_prompt):
    widgets = {"mode": "even intervals", "speed": 3.0, "settings": ["settings", 0]}
    prompt = example_prompt(HiCachePatchModel=widgets, KSampler={"steps": 10})
    prompt["settings"] = {"class_type": "HiCacheSettings", "inputs": host.defaults("HiCacheSettings")}
    prompt["settings"]["inputs"]["warmup_steps"] = 8
    assert host.run(prompt).calls == [8] * PICTURES


def test_the_listed_steps_are_computed(host, example_prompt):
    widgets = {"mode": "listed steps", "settings": ["settings", 0]}
    prompt = example_prompt(HiCachePatchModel=widgets, KSampler={"steps": 10})
    prompt["settings"] = {"class_type": "HiCacheSettings", "inputs": host.defaults("HiCacheSettings")}
    prompt["settings"]["inputs"]["steps"] = "0, 4, 8-9"
    assert host.run(prompt).calls == [4] * PICTURES


def test_an_interrupted_run_leaves_nothing_behind(host, example_prompt):
    prompt = example_prompt(KSampler={"steps": 10, "seed": 8})
    before = host.run(prompt)
    host.forget()
    asyncio.run(run_until_interrupted(host.server.url, prompt))
    after = host.run(prompt)
    assert after.calls == before.calls == [4] * PICTURES
    assert after.pixels == before.pixels


async def run_until_interrupted(url, prompt):
    sampling = asyncio.Event()
    async with ComfyClient(url) as client:
        run = asyncio.ensure_future(client.run(prompt, lambda kind, _: sampling.set() if kind == "progress" else None))
        await asyncio.wait_for(sampling.wait(), timeout=60)
        await client.post("/interrupt")
        with pytest.raises(PromptFailed, match="execution_interrupted"):
            await run
