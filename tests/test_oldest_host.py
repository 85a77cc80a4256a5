"""The in-process tests once more, inside the oldest host we promise."""

import os
import subprocess
from pathlib import Path

import pytest

OLDEST = "0.16.3"


def test_the_host_tests_pass_on_the_oldest_host():
    host = Path(os.environ.get("HICACHE_HOSTS", "")) / OLDEST
    if not host.is_dir():
        pytest.fail(f"ComfyUI {OLDEST} is missing: run the tests through `python dev.py test`.")
    tests = Path(__file__).parent / "host"
    run = subprocess.run(
        ["pytest", str(tests), "-q"],
        env={**os.environ, "COMFYUI_PATH": str(host)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-8000:]
