"""Runs a command that must not outlive the process that started this one, however that process ends.

``python leash.py FOLDER COMMAND...``: its standard input is a pipe that only its owner holds. The pipe closes when the
owner closes it or dies, of SIGKILL too; then the command is ended and FOLDER removed. A file of its own that imports
the standard library only, so that any Python can run it by its path.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any

SECONDS_TO_END = 5


def main(folder: str, command: Sequence[str]) -> int:
    """Returns the exit code of the command."""
    if sys.platform != "win32":
        signal.signal(signal.SIGTERM, let_go)
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603 - the command is its owner's
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
