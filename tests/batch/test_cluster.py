"""Workers of a batch on this machine and on a cluster of two nodes: real Ray, real ComfyUI, real deaths."""

import asyncio
import importlib.util
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from hicache_batch import gpus
from hicache_batch.cluster import RayEngine, Worker, in_a_sentence
from hicache_batch.comfyui import Launch
from hicache_batch.errors import Refusal, WorkerLost

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and Ray's clusters are of Linux machines")

HOST = os.environ["COMFYUI_PATH"]
OURS = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}  # or Ray writes one into the home directory
SMI = """#!/bin/sh
echo "GPU 4: Toy 80GB (UUID: GPU-4f00)"
echo "GPU 6: Toy 80GB (UUID: GPU-6f00)"
echo "  MIG 1g.10gb Device 0: (UUID: MIG-77aa)"
"""


@pytest.fixture(scope="module", autouse=True)
def _one_token():
    with pytest.MonkeyPatch.context() as patch:
        for name, value in OURS.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def launch(tmp_path_factory):
    """On the CPU, whatever Ray takes the machine for."""
    base = tmp_path_factory.mktemp("base")
    for name in ("custom_nodes", "user", "input", "output", "models", "temp"):
        (base / name).mkdir()
    return Launch(HOST, str(base), arguments=("--cpu",), cpu=None)


def two_gpus(folder, patch):
    """As the driver's tool lists them. There is none behind it: the ComfyUIs are told to take the CPU."""
    (folder / "nvidia-smi").write_text(SMI, encoding="utf-8")
    (folder / "nvidia-smi").chmod(0o755)
    patch.setenv("PATH", str(folder), prepend=os.pathsep)


@pytest.fixture(scope="module")
def local(launch, tmp_path_factory):
    """Two workers with a GPU each, and where they are."""
    with pytest.MonkeyPatch.context() as patch:
        two_gpus(tmp_path_factory.mktemp("bin"), patch)
        yield from running(RayEngine(launch, gpus=(4, 6)))


def running(engine):
    asyncio.run(engine.__aenter__())
    try:
        yield engine, asyncio.run(all_up(engine))
    finally:
        asyncio.run(engine.__aexit__(None, None, None))


async def all_up(engine):
    return dict(zip(engine.names, await asyncio.gather(*map(engine.bring_up, engine.names)), strict=True))


def argv(url):
    with urllib.request.urlopen(f"{url}/system_stats", timeout=30) as answer:
        return json.load(answer)["system"]["argv"]


def option(command, name):
    return command[command.index(name) + 1]


def processes_with(text):
    """Ids of the processes that have it in their command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if text.encode() in command:
            found.append(int(folder.name))
    return found


def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def wait_until(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_every_worker_has_a_comfyui_and_a_gpu_of_its_own(local):
    engine, urls = local
    assert engine.names == ("worker-0", "worker-1")
    assert len(set(urls.values())) == 2
    commands = [argv(url) for url in urls.values()]
    assert {option(command, "--cuda-device") for command in commands} == {"4", "6"}
    assert {option(command, "--listen") for command in commands} == {"127.0.0.1"}
    assert len({engine.where(name) for name in engine.names}) == 2


def test_our_own_environment_and_handlers_stay_as_they_were(local):
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_killed_worker_takes_its_comfyui_along_and_is_replaced(local):
    engine, urls = local
    folder = option(argv(urls["worker-0"]), "--temp-directory")
    before, pid = engine.where("worker-0"), engine.pid("worker-0")
    assert before.endswith(f"process {pid}")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not processes_with(folder))
    wait_until(lambda: not Path(folder).exists())
    urls["worker-0"] = asyncio.run(engine.bring_up("worker-0"))
    assert option(argv(urls["worker-0"]), "--temp-directory") != folder
    assert engine.where("worker-0") != before
    assert argv(urls["worker-1"])


def test_a_comfyui_that_ended_is_replaced_and_its_last_words_are_logged(local, caplog):
    engine, urls = local
    folder = option(argv(urls["worker-1"]), "--temp-directory")
    (main,) = [pid for pid in processes_with(folder) if parent(pid) in processes_with(folder)]
    os.kill(main, signal.SIGKILL)
    wait_until(lambda: not processes_with(folder))
    with caplog.at_level("WARNING", "hicache_batch.cluster"):
        urls["worker-1"] = asyncio.run(engine.bring_up("worker-1"))
    assert "The ComfyUI of worker-1 on " in caplog.text
    assert "To see the GUI go to" in caplog.text
    assert argv(urls["worker-1"])


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class Cluster:
    """Two nodes with one CPU and one GPU each, in Ray's eyes."""

    def __init__(self):
        port, client = free_port(), free_port()
        common = ["--num-cpus=1", "--num-gpus=1", "--object-store-memory=100000000", "--disable-usage-stats", "--block"]
        own = ["--include-dashboard=false", f"--ray-client-server-port={client}", "--node-ip-address=127.0.0.1"]
        self.address, self.nodes = f"ray://127.0.0.1:{client}", []
        self._start("--head", f"--port={port}", *own, *common)
        wait_until(lambda: answers(port) and answers(client))
        self._start(f"--address=127.0.0.1:{port}", *common)

    def _start(self, *arguments):
        ray = str(Path(sys.executable).with_name("ray"))
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.nodes.append(subprocess.Popen([ray, "start", *arguments], **quiet, start_new_session=True))

    def lose_a_node(self):
        os.killpg(self.nodes[1].pid, signal.SIGKILL)

    def end(self):
        for node in reversed(self.nodes):
            node.terminate()
        for node in self.nodes:
            try:
                node.wait(60)
            finally:
                node.kill()
                node.wait()


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def cluster(request):
    """Not beside the local Ray."""
    assert "local" not in request.fixturenames
    cluster = Cluster()
    yield cluster
    cluster.end()


async def enter(engine):
    async with engine:
        return engine.names


def refused(engine):
    with pytest.raises(Refusal) as refusal:
        asyncio.run(enter(engine))
    return str(refusal.value)
