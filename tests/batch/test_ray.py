"""Batches as users start them, on ComfyUIs that Ray holds: deaths and machines change no byte."""

import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from batch_example import prepare
from comfy_client.server import dev_module

from .conftest import PATIENCE, TEXTS, batch_in, stop
from .processes import Cluster, parent, processes_with, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and Ray's clusters are of Linux machines")

ROWS, LONG_STEPS = 24, 500


@pytest.fixture(scope="module", autouse=True)
def _environment():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(
            "RAY_AUTH_MODE", "token"
        )  # as batches have it; without one of ours it would go into the home folder
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        yield


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    dev_module().prepare_base(folder)
    prepare(folder)
    return folder


@pytest.fixture(scope="module")
def prompts(tmp_path_factory):
    """Texts as a table. The first row takes so long that whoever is ready late still finds others."""
    rows = [f"{text},{LONG_STEPS if row == 0 else ''}" for row, text in enumerate(TEXTS)]
    file = tmp_path_factory.mktemp("prompts") / "prompts.csv"
    file.write_text("\n".join(["prompt,KSampler.steps", *rows]), "utf-8")
    return file


@pytest.fixture
def ray_batch(tmp_path, checkout, base, prompts):
    return partial(batch_in, tmp_path, "--comfyui", checkout, "--base", base, prompts=prompts)


@pytest.fixture(scope="module")
def first(tmp_path_factory, checkout, base, prompts):
    """Digests of the batch that the others are compared with: of one worker, whose driver is killed."""
    folder = tmp_path_factory.mktemp("first")
    one = batch_in(folder, "--comfyui", checkout, "--base", base, "--workers", 1, prompts=prompts)
    process = one.start()
    one.wait_for_rows(5, process)
    stop(process, signal.SIGKILL)
    kept = {record["row"]: record["files"] for record in one.records}
    assert 5 <= len(kept) < ROWS
    wait_until(lambda: not processes_with(str(base)))  # no ComfyUI outlives its driver
    result = one.resume()
    assert result.returncode == 0, result.stderr
    assert f"{len(kept)} of {ROWS} rows are there already." in result.stderr
    assert {record["row"]: record["files"] for record in one.records if record["row"] in kept} == kept
    return whole(one)


def whole(one):
    """Every row once, without an error; what its files are."""
    assert [record["row"] for record in one.records] == list(range(ROWS))
    assert {record["error"] for record in one.records} == {None}
    names = [[saved["file"] for saved in record["files"]] for record in one.records]
    assert names == [[f"{row:06d}_00.png"] for row in range(ROWS)]
    digests = one.digests
    assert {file["file"]: file["sha256"] for record in one.records for file in record["files"]} == digests
    return digests


def test_one_worker_whose_driver_is_killed_loses_and_repeats_nothing(first):
    assert len(set(first.values())) == ROWS


def test_two_workers_give_the_same_bytes(ray_batch, first):
    one = ray_batch("--workers", 2)
    result = one.run()
    assert result.returncode == 0, result.stderr
    assert whole(one) == first
    assert {record["worker"] for record in one.records} == {"worker-0", "worker-1"}, result.stderr
    assert f"{ROWS} rows in" in result.stderr


def test_three_workers_of_which_one_is_killed_give_the_same_bytes(ray_batch, first, tmp_path):
    one = ray_batch("--workers", 3)
    log = tmp_path / "stderr"
    with log.open("w") as output:
        process = one.start(stderr=output)
        one.wait_for_rows(3, process)
        killed = one.records[0]["worker"]
        os.kill(int(ready(log)[killed]), signal.SIGKILL)
        assert process.wait(PATIENCE) == 0, log.read_text()
        process.communicate()
    assert whole(one) == first
    assert f"{killed} is lost" in log.read_text()


def ready(log):
    """Workers that said so, and the ids of their processes."""
    return dict(re.findall(r"(worker-\d) on \S+, process (\d+) is ready", log.read_text()))


def test_two_nodes_with_a_worker_on_each(ray_batch, first, base):
    with Cluster() as cluster:
        one = ray_batch("--address", cluster.address, "--workers", 2, "--arg=--cpu")
        process = one.start()
        wait_until(lambda: len(raylets_with_a_worker(base)) == 2 or process.poll() is not None, PATIENCE)
        assert process.poll() is None, process.communicate()
        _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, err
        assert whole(one) == first
        assert {record["worker"] for record in one.records} == {"worker-0", "worker-1"}, err


def raylets_with_a_worker(base):
    """The nodes whose workers hold a ComfyUI of this base."""
    found = set()
    for pid in {*processes_with("leash.py")} & {*processes_with(str(base))}:
        with suppress(FileNotFoundError, ProcessLookupError):  # gone meanwhile
            found.add(parent(parent(pid)))
    return found


@pytest.fixture
def temp(monkeypatch):
    """The system's temporary folder, for one test; sockets are below it, so that its path must be short."""
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp", ignore_cleanup_errors=True) as folder:
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.delenv("RAY_TMPDIR", raising=False)
        yield Path(folder)


def test_a_stopped_batch_leaves_nothing_behind(ray_batch, base, long_rows, temp):
    one = ray_batch("--workers", 1, prompts=long_rows)
    with subprocess.Popen(one.command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        one.wait_for_rows(1, process)
        assert list(temp.glob("hicache-batch-*"))
        assert list(temp.glob("ray/session_2*"))
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: to all of its processes
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    assert "Stopped. Finished rows are kept" in err
    wait_until(lambda: not processes_with(str(base)) and not processes_with(str(temp)))
    assert not list(temp.glob("hicache-batch-*"))
    assert not list(temp.glob("ray/session_2*"))


def test_a_dry_run_whose_comfyui_does_not_start_is_refused(ray_batch, tmp_path):
    (tmp_path / "host" / "comfy").mkdir(parents=True)
    (tmp_path / "host" / "main.py").write_text("raise SystemExit('no model today')", "utf-8")
    one = ray_batch("--comfyui", tmp_path / "host", "--workers", 1, "--dry-run")
    result = one.run()
    assert (result.returncode, one.out.exists()) == (2, False), result.stderr
    assert "No worker came up; worker-0: " in result.stderr
    assert "no model today" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--gpus", "0,9"], "--gpus 0,9"),
        (["--address", "ray://127.0.0.1:1"], "Nothing answers at --address ray://127.0.0.1:1"),
        (["--comfyui", "/none"], "/none has no main.py and comfy/"),
    ],
)
def test_refusals(ray_batch, arguments, sentence):
    one = ray_batch(*arguments)
    result = one.run()
    assert (result.returncode, one.out.exists()) == (2, False), result.stderr
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr


def test_without_ray_it_says_how_to_get_it(ray_batch, tmp_path, monkeypatch):
    """A Python that has everything but Ray."""
    (tmp_path / "hide").mkdir()
    (tmp_path / "hide" / "sitecustomize.py").write_text("import sys\n\nsys.modules['ray'] = None\n", "utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'hide'}", prepend=os.pathsep)
    result = ray_batch().run()
    assert result.returncode == 2, result.stderr
    assert "needs Ray: pip install 'ray[client]'" in result.stderr
