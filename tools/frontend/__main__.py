"""Films the timeline for the README: `python dev.py exec -- python -m frontend` writes docs/img/timeline.gif."""

import os
import sys
from pathlib import Path

from comfy_client import running_server

from . import find_or_install, one_picture, opened
from .film import film

ROOT = Path(__file__).parents[2]
OUT = ROOT / "docs" / "img" / "timeline.gif"


def main() -> int:
    chromium = find_or_install()
    if chromium is None:
        print("There is no Chromium: install one, `apt-get install chromium` on Debian.", file=sys.stderr)
        return 2
    host = Path(os.environ["COMFYUI_PATH"])
    with (
        running_server(host, prepare=one_picture.add_dataset) as server,
        opened(server.url, chromium, vue=True) as tab,
    ):
        frames = film(tab, one_picture.example(), OUT)
    print(f"{OUT.relative_to(ROOT)}: {frames} frames, {OUT.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
