"""Runs 24 texts through the small Flux, with the arguments of hicache_batch: ``... -m batch_example --out DIR``."""

import os
import sys
from pathlib import Path

from comfy_client.server import dev_module

from hicache_batch.cli import main

from . import PROMPTS, WORKFLOW, prepare

if __name__ == "__main__":
    base = Path(os.environ["HICACHE_REPO"], ".host", "base")
    dev_module().prepare_base(base)
    prepare(base)
    sys.exit(main(["--workflow", str(WORKFLOW), "--prompts", str(PROMPTS), *sys.argv[1:]]))
