"""The server's own start and stop, and the demo."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time

import psutil
import pytest
from comfy_client import ComfyClient, ServerError, forget, running_server
from PIL import Image

pytestmark = pytest.mark.server

DEMO = [sys.executable, "-m", "demo"]


def test_a_server_that_dies_early_says_why(tmp_path):
    with pytest.raises(ServerError, match=r"ended with code 2 before it served(.|\n)*main\.py"):
        running_server(tmp_path).__enter__()


def test_a_server_that_takes_too_long_is_stopped(checkout):
    before = psutil.Process().children()
    with pytest.raises(ServerError, match="not up after 0 s"):
        running_server(checkout("current"), seconds_to_start=0).__enter__()
    assert psutil.Process().children() == before


def test_a_server_that_forgets_runs_the_same_prompt_again(host):
    prompt = {"1": {"class_type": "PreviewAny", "inputs": {"source": "the same"}}}
    for _ in range(5):
        forget(host.server.url)
        assert cached(host, prompt) == []
        assert cached(host, prompt) == ["1"]


def cached(host, prompt):
    """The nodes that a run of the prompt did not execute."""

    async def messages():
        async with ComfyClient(host.server.url) as client:
            return (await client.run(prompt))["status"]["messages"]

    return dict(asyncio.run(messages()))["execution_cached"]["nodes"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM to send")
def test_sigterm_stops_the_demo_and_its_server(checkout, tmp_path):
    demo = subprocess.Popen(DEMO, cwd=tmp_path, env={**os.environ, "COMFYUI_PATH": str(checkout("current"))})
    children = wait_for_children(psutil.Process(demo.pid))
    demo.send_signal(signal.SIGTERM)
    assert demo.wait(30) == 128 + signal.SIGTERM
    assert not any(child.is_running() for child in children)


def wait_for_children(process):
    deadline = time.monotonic() + 60
    while not (children := process.children()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return children


def test_the_demo_prints_its_table_and_draws_its_picture(checkout, tmp_path):
    env = {**os.environ, "COMFYUI_PATH": str(checkout("current"))}
    run = subprocess.run([*DEMO, "--pictures", "1"], cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    rows = [re.split(r"\s{2,}", line) for line in run.stdout.splitlines()]
    assert [cells[:2] for cells in rows if len(cells) == 6] == [
        ["variant", "network calls"],
        ["50 steps", "50"],
        ["HiCache 2.5x", "20"],
        ["HiCache 5x", "10"],
        ["20 steps", "20"],
        ["10 steps", "10"],
    ]
    with Image.open(tmp_path / "hicache_demo.png") as picture:
        assert picture.height > picture.width > 800
