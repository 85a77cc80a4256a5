"""Processes of a batch, and two nodes of Ray on this machine."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path


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


def descends(pid, ancestor):
    while pid > 1 and pid != ancestor:
        pid = parent(pid)
    return pid == ancestor


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
