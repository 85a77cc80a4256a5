"""Writes example_workflows/: every workflow and its picture, or those with the titles given."""

import json
import os
import shutil
import sys
from pathlib import Path

from comfy_client import Server, running_server
from frontend import find_or_install, opened

from . import EXAMPLES, MODELS, photograph, write
from .thumbnail import VIEW

FOLDER = Path(__file__).parents[2] / "example_workflows"


def pretend(host: Path, server: Server) -> None:
    """Empty files with the models' names, or the frontend would mark them as missing; and the host's own picture."""
    for model in MODELS.values():
        file = server.base / "models" / model.directory / model.name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    shutil.copy(host / "input" / "example.png", server.base / "input")


def main(titles: list[str]) -> int | str:
    """What sys.exit takes."""
    unknown = set(titles) - {one.title for one in EXAMPLES}
    if unknown:
        return f"There is no example {', '.join(sorted(unknown))}: choose of {', '.join(e.title for e in EXAMPLES)}."
    chosen = [one for one in EXAMPLES if not titles or one.title in titles]
    chromium, host = find_or_install(), Path(os.environ["COMFYUI_PATH"])
    if chromium is None:
        return "There is no Chromium: install one, `apt-get install chromium` on Debian."
    with running_server(host) as server:
        pretend(host, server)
        hidden = {"Comfy_Graph_CanvasMenu": False, "Comfy_Graph_CanvasInfo": False}
        with opened(server.url, chromium, vue=False, size=VIEW, **hidden) as frontend:
            frontend.command("Workspace.ToggleFocusMode")
            for example in chosen:
                write(frontend, example, FOLDER)
                frontend.open(json.loads((FOLDER / f"{example.title}.json").read_text("utf-8")))
                if example.run:
                    frontend.queue()
                    frontend.wait_until_idle()
                photograph(frontend, FOLDER / f"{example.title}.jpg")
                print(example.title)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
