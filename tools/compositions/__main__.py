"""Runs every cell on all cores and writes docs/compatibility.md: `python dev.py exec -- python -m compositions`."""

import sys

from small_models import host  # noqa: F401  first: makes `comfy` importable

import comfyui_version  # isort: skip
from . import document  # isort: skip
from .every_cell import run_all  # isort: skip
from .laws import EXACT  # isort: skip


def main() -> int:
    outcomes, failures = run_all()
    if not failures:
        document.write(outcomes, comfyui_version.__version__, EXACT)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
