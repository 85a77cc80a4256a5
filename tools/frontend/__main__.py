"""Films and photographs the timeline: `python dev.py exec -- python -m frontend` writes docs/img/timeline.gif, the
pictures of docs/img/timeline/ and docs/timeline.md."""

import os
import sys
from pathlib import Path

from comfy_client import running_server

from . import album, find_or_install, one_picture, opened
from .film import film

DOCS = Path(__file__).parents[2] / "docs"
GIF = DOCS / "img" / "timeline.gif"
SIDE = 512  # pixels of the picture: the run takes some seconds
FOLDER = DOCS / "img" / "timeline"


def main() -> int:
    chromium = find_or_install()
    if chromium is None:
        print("There is no Chromium: install one, `apt-get install chromium` on Debian.", file=sys.stderr)
        return 2
    FOLDER.mkdir(exist_ok=True)
    with running_server(Path(os.environ["COMFYUI_PATH"]), prepare=one_picture.add_dataset) as server:
        for renderer in ("classic", "vue"):
            with opened(server.url, chromium, vue=renderer == "vue", scale=1.5) as tab:
                album.photograph(tab, FOLDER, renderer)
        with opened(server.url, chromium, vue=True) as tab:
            frames = film(tab, one_picture.example(SIDE), GIF)
    (DOCS / "timeline.md").write_text(album.page(), "utf-8")
    print(f"{GIF.name}: {frames} frames, {GIF.stat().st_size:,} bytes; {len(list(FOLDER.iterdir()))} pictures")
    return 0


if __name__ == "__main__":
    sys.exit(main())
