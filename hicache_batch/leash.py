"""Runs a command that must not outlive the process that started this one, however that process ends.

``python leash.py FOLDER COMMAND...``: its standard input is a pipe that only its owner holds. The pipe closes when the
owner closes it or dies, of SIGKILL too; then the command is ended and FOLDER removed. A file of its own that imports
the standard library only, so that any Python can run it by its path.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

SECONDS_TO_END = 5
PR_SET_PDEATHSIG = 1


def main(folder: str, command: Sequence[str]) -> int:
    """Returns the exit code of the command."""
    if sys.platform != "win32":
        signal.signal(signal.SIGTERM, let_go)
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=also_without_leash())  # noqa: S603
    threading.Thread(target=end_without_owner, args=(process, folder), daemon=True).start()
    try:
        code = process.wait()
        return code if code >= 0 else 128 - code
    finally:
        end(process)
        if owner_gone.is_set():
            shutil.rmtree(folder, ignore_errors=True)


owner_gone = threading.Event()


def end_without_owner(process: subprocess.Popen, folder: str) -> None:
    """Reads until the pipe closes; what comes through it does not matter."""
    with os.fdopen(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as pipe:
        while pipe.read(1024):
            pass
    owner_gone.set()
    end(process)


def also_without_leash() -> Callable[[], None] | None:
    """Linux can kill the command when the leash itself is killed, as Ray does with the children of its workers."""
    if sys.platform != "linux":
        return None
    prctl, leash = ctypes.CDLL(None).prctl, os.getpid()

    def ask() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != leash:  # too late to be told
            os._exit(1)

    return ask


def end(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()


def let_go(signum: int, _frame: Any) -> None:
    """As by default, but through ``finally``."""
    sys.exit(128 + signum)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
