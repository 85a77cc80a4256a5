"""Workers of a batch on this machine and on a cluster of two nodes: real Ray, real ComfyUI, real deaths."""

import asyncio
import os
import secrets
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hicache_batch import comfyui, ray_connection
from hicache_batch.cluster import RayEngine, in_a_sentence
from hicache_batch.comfyui import Launch
from hicache_batch.errors import Refusal, WorkerLost
from hicache_batch.ray_connection import OF_LOCAL_RAY, Asked, connected

from .processes import Cluster, argv, descends, option, parent, processes_with, two_gpus, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and Ray's clusters are of Linux machines")

HOST = os.environ["COMFYUI_PATH"]
OURS = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}  # or Ray writes one into the home directory


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


@pytest.fixture(scope="class")
def before():
    """Our environment and what SIGTERM does, before Ray starts."""
    return dict(os.environ), signal.getsignal(signal.SIGTERM)


@pytest.fixture(scope="class")
def local(launch, before, tmp_path_factory):
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


class TestOnThisMachine:
    def test_every_worker_has_a_comfyui_and_a_gpu_of_its_own(self, local):
        engine, urls = local
        assert engine.names == ("worker-0", "worker-1")
        assert len(set(urls.values())) == 2
        commands = [argv(url) for url in urls.values()]
        assert {option(command, "--cuda-device") for command in commands} == {"4", "6"}
        assert {option(command, "--listen") for command in commands} == {"127.0.0.1"}
        assert len({engine.where(name) for name in engine.names}) == 2

    def test_our_own_environment_and_handlers_stay_as_they_were(self, local, before):
        environment, handler = before
        set_for_ray = {*OF_LOCAL_RAY, "CUDA_VISIBLE_DEVICES"}
        assert {name: os.environ.get(name) for name in set_for_ray} == {n: environment.get(n) for n in set_for_ray}
        assert signal.getsignal(signal.SIGTERM) == handler

    def test_a_killed_worker_takes_its_comfyui_along_and_is_replaced(self, local):
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

    def test_a_comfyui_that_ended_is_replaced_and_its_last_words_are_logged(self, local, caplog):
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


@pytest.fixture(scope="class")
def cluster():
    with Cluster() as cluster:
        yield cluster


@pytest.fixture(scope="class")
def two_nodes(cluster, launch):
    """A worker on each, on the CPU, through Ray Client; after it what needs the cluster only."""
    yield from running(RayEngine(replace(launch, cpu=True), workers=2, address=cluster.address))


def refused(engine):
    with pytest.raises(Refusal) as refusal:
        asyncio.run(names(engine))
    return str(refusal.value)


async def names(engine):
    async with engine:
        return engine.names


class TestOnACluster:
    def test_there_is_a_worker_per_gpu_or_per_machine(self, cluster, launch, monkeypatch):
        assert asyncio.run(names(RayEngine(launch, address=cluster.address))) == ("worker-0", "worker-1")
        monkeypatch.setenv("RAY_TMPDIR", cluster.temp)
        one = RayEngine(replace(launch, cpu=True), workers=1, address="auto")
        assert asyncio.run(names(one)) == ("worker-0",)

    def test_more_workers_than_there_is_room_for_are_refused(self, cluster, launch):
        sentence = refused(RayEngine(launch, workers=3, address=cluster.address))
        assert sentence.startswith("3 workers take one GPU each and the cluster at ray://")
        assert sentence.endswith("has 2; give --workers 2 or fewer.")
        assert "one CPU each" in refused(RayEngine(replace(launch, cpu=True), workers=3, address=cluster.address))

    def test_a_checkout_that_a_node_does_not_have_is_told(self, cluster, launch):
        async def brought_up():
            async with RayEngine(replace(launch, comfyui="/none"), workers=1, address=cluster.address) as engine:
                await engine.bring_up("worker-0")

        with pytest.raises(WorkerLost, match="worker-0: /none has no main"):
            asyncio.run(brought_up())

    def test_every_node_has_a_worker(self, two_nodes):
        engine, urls = two_nodes
        raylets = {parent(engine.pid(name)) for name in engine.names}
        assert len(raylets) == 2
        for url in urls.values():
            assert url.startswith(f"http://{option(argv(url), '--listen')}:")
            assert "--cpu" in argv(url)

    def test_a_worker_whose_machine_is_gone_is_lost(self, two_nodes, cluster):
        engine, urls = two_nodes
        folders = {name: option(argv(url), "--temp-directory") for name, url in urls.items()}
        (gone,) = [name for name in engine.names if descends(engine.pid(name), cluster.nodes[1].pid)]
        (other,) = set(engine.names) - {gone}
        cluster.lose_a_node()
        wait_until(lambda: not processes_with(folders[gone]))
        engine._seconds_to_place = 10
        # Until Ray knows that the node is gone, it sends workers there, which are lost as well.
        wait_until(lambda: f"{gone}: Ray found no free CPU for it within 10 s" in lost(engine, gone))
        assert argv(urls[other])


def lost(engine, name):
    with pytest.raises(WorkerLost) as error:
        asyncio.run(engine.bring_up(name))
    return str(error.value)


def test_no_cluster_on_this_machine_is_refused(launch, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    assert "No Ray cluster answers at --address auto" in refused(RayEngine(launch, address="auto"))


def test_ports_are_none_of_rays():
    from ray.util.client.server import proxier  # not above: Ray reads the environment as it is imported

    ours = range(comfyui.FIRST_PORT, comfyui.FIRST_PORT + comfyui.PORTS)
    assert not {*ours} & {*range(proxier.MIN_SPECIFIC_SERVER_PORT, proxier.MAX_SPECIFIC_SERVER_PORT)}
    assert comfyui.free_port("127.0.0.1") in ours


ASKED = Asked(1, None, "ray://head:10001", use_gpus=False)
ABORTED = ConnectionAbortedError("Initialization failure from server:\nTraceback ...\nRuntimeError: Proxy failed.\n")


@pytest.fixture
def head(monkeypatch):
    """What ray.init answers, one after the other, and what it was given. No head aborts at will."""
    import ray

    answers, given = [], []

    def init(**options):
        given.append(repr(options))
        options["runtime_env"].clear()
        answer = answers.pop(0)
        if answer is not None:
            raise answer

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray_connection, "PAUSES", (0, 0))
    return answers, given


def test_a_head_that_aborts_is_asked_again(head):
    answers, given = head
    answers += [ABORTED, ABORTED, None]
    with connected(ASKED):
        assert len(given) == 3
    assert len(set(given)) == 1


def test_a_head_that_aborts_every_time_is_refused_with_the_cause(head):
    answers, _ = head
    answers += [ABORTED, ABORTED, ABORTED]
    with pytest.raises(Refusal, match=r"\(ConnectionAbortedError: RuntimeError: Proxy failed\); is it up"):
        with connected(ASKED):
            pass
    assert answers == []


@pytest.mark.parametrize("error", [RuntimeError("version mismatch\nmore"), ConnectionError("closed")])
def test_no_other_error_is_tried_again(head, error):
    answers, given = head
    answers.append(error)
    with pytest.raises(Refusal, match=str(error).partition("\n")[0] + r"\)"), connected(ASKED):
        pass
    assert len(given) == 1


def test_what_ray_says_becomes_one_sentence():
    sentence = in_a_sentence("worker-3", ConnectionError("gone\nat line 7"))
    assert sentence == "worker-3 was lost before its ComfyUI served (ConnectionError: gone)."
