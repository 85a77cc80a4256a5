"""Processes of a batch, GPUs that nobody has, and two nodes of Ray on this machine."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

SMI = """#!/bin/sh
echo "GPU 4: Toy 80GB (UUID: GPU-4f00)"
echo "GPU 6: Toy 80GB (UUID: GPU-6f00)"
echo "  MIG 1g.10gb Device 0: (UUID: MIG-77aa)"
"""
RAY = str(Path(sys.executable).with_name("ray"))


def argv(url):
    with urllib.request.urlopen(f"{url}/system_stats", timeout=60) as answer:
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


def descends(pid, ancestor):
    while pid > 1 and pid != ancestor:
        pid = parent(pid)
    return pid == ancestor


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def two_gpus(folder, patch):
    """As the driver's tool lists them. There is none behind it: the ComfyUIs are told to take the CPU."""
    (folder / "nvidia-smi").write_text(SMI, encoding="utf-8")
    (folder / "nvidia-smi").chmod(0o755)
    patch.setenv("PATH", str(folder), prepend=os.pathsep)


class Cluster:
    """Two nodes with one CPU and one GPU each, in Ray's eyes; both are there when the block begins."""

    def __init__(self):
        self._port, self._client = free_port(), free_port()
        self.temp = tempfile.mkdtemp(prefix="ray", dir="/tmp")  # sockets below it: their paths must be short
        self.address, self.nodes = f"ray://127.0.0.1:{self._client}", []

    def __enter__(self):
        common = ["--num-cpus=1", "--num-gpus=1", "--object-store-memory=100000000", "--disable-usage-stats", "--block"]
        ports = [f"--port={self._port}", f"--ray-client-server-port={self._client}"]
        try:
            self._start("--head", *ports, "--include-dashboard=false", "--node-ip-address=127.0.0.1", *common)
            wait_until(lambda: answers(self._port) and answers(self._client))
            self._start(f"--address=127.0.0.1:{self._port}", *common)
            wait_until(lambda: "/2.0 GPU" in self._status())
        except BaseException:
            self.__exit__()
            raise
        return self

    @property
    def _environment(self):
        return {**os.environ, "RAY_TMPDIR": self.temp}

    def _status(self):
        command = [RAY, "status", f"--address=127.0.0.1:{self._port}"]
        try:
            return subprocess.run(command, capture_output=True, text=True, timeout=60, env=self._environment).stdout
        except subprocess.TimeoutExpired:  # not yet
            return ""

    def _start(self, *arguments):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        command = [RAY, "start", *arguments]
        self.nodes.append(subprocess.Popen(command, **quiet, start_new_session=True, env=self._environment))

    def lose_a_node(self):
        os.killpg(self.nodes[1].pid, signal.SIGKILL)

    def __exit__(self, *exc):
        for node in reversed(self.nodes):
            node.terminate()
        for node in self.nodes:
            try:
                node.wait(60)
            finally:
                node.kill()
                node.wait()
        shutil.rmtree(self.temp, ignore_errors=True)


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True
