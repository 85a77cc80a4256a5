"""One ComfyUI of a batch: it starts, it is refused in one sentence, and it never outlives its owner."""

import itertools
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from comfy_client.server import dev_module

from hicache_batch import comfyui, gpus, leash
from hicache_batch.comfyui import ComfyUI, Launch, default_launch
from hicache_batch.errors import Refusal, WorkerLost

HOST = os.environ["COMFYUI_PATH"]
OLDEST = Path(os.environ["HICACHE_HOSTS"], dev_module().OLDEST_HOST)


@pytest.fixture
def base(tmp_path):
    for name in ("custom_nodes", "user", "input", "output", "models", "temp"):
        (tmp_path / "base" / name).mkdir(parents=True)
    return str(tmp_path / "base")


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_until(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("host", [HOST, str(OLDEST)], ids=["host", "oldest"])
def test_it_serves_and_ends(host, base):
    server = ComfyUI(Launch(host, base, cpu=True))
    try:
        url = server.start(300)
        with urllib.request.urlopen(f"{url}/object_info/KSampler") as answer:
            assert answer.status == 200
        assert server.running
        pids = [int(pid) for pid in children(server._process.pid)]
        assert pids
    finally:
        server.stop()
    assert not server.running
    assert not server.folder.exists()
    wait_until(lambda: not any(map(alive, pids)))
    server.stop()


def children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_what_it_writes_stays_out_of_the_base(base):
    command = comfyui.server_command(server := ComfyUI(Launch(HOST, base, cpu=True)))
    server.stop()
    options = dict(itertools.pairwise(command))
    assert options["--base-directory"] == base
    for kind in ("output", "temp", "user"):
        assert options[f"--{kind}-directory"].startswith(str(server.folder))
    assert "--input-directory" not in options


def test_a_gpu_is_pinned_by_number_or_by_name():
    launch = Launch(HOST, cpu=False)
    for gpu, pinned in (("3", True), ("MIG-4f1e", False)):
        server = ComfyUI(launch, gpu=gpu)
        server.stop()
        command = comfyui.server_command(server)
        assert ("--cuda-device" in command) == pinned
        assert "--cpu" not in command
        assert comfyui.environment(launch, gpu)["CUDA_VISIBLE_DEVICES"] == gpu


def test_a_launch_carries_the_threads_of_its_driver(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    launch = pickle.loads(pickle.dumps(Launch(HOST)))  # noqa: S301 - our own bytes
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", "tools")
    env = comfyui.environment(launch, None)
    assert env["OMP_NUM_THREADS"] == "3"
    assert "PYTHONPATH" not in env
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert "OMP_NUM_THREADS" not in comfyui.environment(Launch(HOST), None)


def fake_checkout(folder, main):
    (folder / "comfy").mkdir(parents=True)
    (folder / "main.py").write_text(main)
    return str(folder)


def test_one_that_ends_at_once_is_lost_with_its_log(tmp_path):
    server = ComfyUI(Launch(fake_checkout(tmp_path / "c", "raise SystemExit('no model today')")))
    with pytest.raises(WorkerLost, match=r"ended with code 1 before it served(.|\n)*no model today"):
        server.start()
    assert not server.folder.exists()


def test_one_that_never_serves_is_lost(tmp_path):
    server = ComfyUI(Launch(fake_checkout(tmp_path / "c", "import time; time.sleep(100)")))
    with pytest.raises(WorkerLost, match="was not up after 1 s"):
        server.start(1)
    assert not server.running


def test_one_that_was_stopped_does_not_start(tmp_path):
    server = ComfyUI(Launch(fake_checkout(tmp_path / "c", "")))
    server.stop()
    with pytest.raises(WorkerLost, match="stopped"):
        server.start()


def test_another_server_at_its_port_is_not_taken_for_it(tmp_path):
    server = ComfyUI(Launch(fake_checkout(tmp_path / "c", STATS)))
    with pytest.raises(WorkerLost, match="was not up"):
        server.start(3)


STATS = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b'{"system": {"argv": ["main.py"]}}')
http.server.HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
"""
OWNER = """
import subprocess, sys, time
leash = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, start_new_session=True)
print(leash.pid, flush=True)
time.sleep(600)
"""
MEEK = "import time; print('on', flush=True); time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + MEEK


@pytest.fixture
def family(tmp_path, request):
    """An owner, its leash and the command, which may refuse to end; their pids and the folder of the leash."""
    folder = tmp_path / "own"
    folder.mkdir()
    command = [sys.executable, leash.__file__, str(folder), sys.executable, "-c", request.param]
    owner = subprocess.Popen([sys.executable, "-c", OWNER, *command], stdout=subprocess.PIPE, text=True)
    with owner:
        leash_pid = int(owner.stdout.readline())
        assert owner.stdout.readline() == "on\n"
        (child,) = map(int, children(leash_pid))
        yield owner, leash_pid, child, folder
        owner.kill()


both = pytest.mark.parametrize("family", [STUBBORN, MEEK], ids=["stubborn", "meek"], indirect=True)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@both
def test_it_ends_when_its_owner_is_killed(family):
    owner, leash_pid, child, folder = family
    os.kill(owner.pid, signal.SIGKILL)
    wait_until(lambda: not alive(child) and not alive(leash_pid))
    assert not folder.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@both
def test_it_ends_when_its_leash_is_killed(family):
    _, leash_pid, child, _ = family
    os.kill(leash_pid, signal.SIGKILL)
    wait_until(lambda: not alive(child))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@both
def test_it_ends_when_its_leash_is_told_to(family):
    _, leash_pid, child, folder = family
    os.kill(leash_pid, signal.SIGTERM)
    wait_until(lambda: not alive(child) and not alive(leash_pid))
    assert folder.exists()  # its owner may read the log


def test_a_leash_ends_with_the_code_of_its_command(tmp_path):
    command = [sys.executable, leash.__file__, str(tmp_path), sys.executable, "-c", "raise SystemExit(7)"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.wait() == 7
    assert tmp_path.exists()


@pytest.fixture
def no_host(monkeypatch):
    for name in ("COMFYUI_PATH", "HICACHE_REPO"):
        monkeypatch.delenv(name, raising=False)


def test_a_launch_is_what_the_environment_names(no_host, monkeypatch, tmp_path):
    monkeypatch.setenv("COMFYUI_PATH", HOST)
    assert default_launch().comfyui == str(Path(HOST).resolve())
    assert default_launch().base is None
    monkeypatch.setenv("HICACHE_REPO", str(tmp_path))
    with pytest.raises(Refusal, match="run `python dev"):
        default_launch()
    base = tmp_path / ".host" / "base"
    base.mkdir(parents=True)
    assert default_launch().base == str(base)
    assert default_launch(HOST).base is None
    assert default_launch(base=str(tmp_path)).base == str(tmp_path)


def test_no_comfyui_is_refused(no_host):
    with pytest.raises(Refusal, match="give --comfyui PATH"):
        default_launch()


def test_what_is_not_there_is_refused(no_host, tmp_path):
    with pytest.raises(Refusal, match=f"{tmp_path} has no main.py"):
        default_launch(str(tmp_path))
    with pytest.raises(Refusal, match=r"base directory .*/none is not there"):
        default_launch(HOST, base=str(tmp_path / "none"))
    with pytest.raises(Refusal, match="no Python at /none/python"):
        default_launch(HOST, python="/none/python")


def test_paths_of_other_machines_are_not_looked_at(no_host, monkeypatch):
    assert default_launch("/opt/comfyui", base="/data", elsewhere=True).comfyui == "/opt/comfyui"
    monkeypatch.setenv("COMFYUI_PATH", "/opt/comfyui")
    monkeypatch.setenv("HICACHE_REPO", "/opt/hicache")
    assert default_launch(elsewhere=True).base == "/opt/hicache/.host/base"


def test_a_machine_has_an_accelerator_or_not(monkeypatch):
    monkeypatch.setattr(shutil, "which", {"rocm-smi": "/usr/bin/rocm-smi"}.get)
    assert gpus.has_accelerator()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(shutil, "which", {}.get)
    assert not gpus.has_accelerator()
