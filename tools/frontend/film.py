"""The moving picture of the README: the timeline during a real run of the small Flux, frame by frame."""

import io
from pathlib import Path
from typing import Any

from PIL import Image

from .page import Frontend
from .timeline import label

FRAME = 150  # milliseconds between two frames, and how long each is shown
LAST = 2500  # milliseconds the end is shown
COLOURS = 96
MARGIN = 24  # graph units around the nodes
SIDE = 256  # pixels of the picture
SHOWN = ("HiCachePatchModel", "KSampler")


def film(frontend: Frontend, workflow: dict[str, Any], out: Path) -> int:
    """Writes an endless GIF and returns its number of frames."""
    frontend.open(workflow)
    _enlarge(frontend)
    clip = _look_at(frontend)
    frames = [_shot(frontend, clip)] * 5
    frontend.queue()
    while " saved" not in label(frontend):
        frontend.page.wait_for_timeout(FRAME)
        frames.append(_shot(frontend, clip))
    frontend.wait_until_idle()
    frames.append(_shot(frontend, clip))
    _write(frames, out)
    return len(frames)


def _enlarge(frontend: Frontend) -> None:
    """So that the run takes a while."""
    frontend.evaluate(
        """side => {
          const size = app.graph.nodes.find(n => n.type === 'EmptySD3LatentImage');
          for (const name of ['width', 'height']) setWidget(size, name, side);
        }""",
        SIDE,
    )


def _look_at(frontend: Frontend) -> dict[str, float]:
    """Zooms to the nodes; their part of the page, as Playwright's clip."""
    box = frontend.evaluate(
        """types => {
          const nodes = types.map(type => app.graph.nodes.find(n => n.type === type));
          const left = Math.min(...nodes.map(n => n.pos[0])), top = Math.min(...nodes.map(n => n.pos[1] - 30));
          const right = Math.max(...nodes.map(n => n.pos[0] + n.size[0]));
          const bottom = Math.max(...nodes.map(n => n.pos[1] + n.size[1]));
          app.canvas.ds.scale = 1.0;
          app.canvas.ds.offset = [120 - left, 160 - top];
          app.canvas.setDirty(true, true);
          const page = app.canvas.canvas.getBoundingClientRect();
          return [page.left + 120, page.top + 160, right - left, bottom - top];
        }""",
        list(SHOWN),
    )
    frontend.page.wait_for_timeout(800)
    x, y, width, height = box
    return {"x": x - MARGIN, "y": y - MARGIN, "width": width + 2 * MARGIN, "height": height + 2 * MARGIN}


def _shot(frontend: Frontend, clip: dict[str, float]) -> Image.Image:
    return Image.open(io.BytesIO(frontend.page.screenshot(clip=clip))).convert("RGB")


def _write(frames: list[Image.Image], out: Path) -> None:
    palette = frames[-1].quantize(COLOURS)
    small = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    seconds = [FRAME] * (len(small) - 1) + [LAST]
    small[0].save(out, save_all=True, append_images=small[1:], duration=seconds, loop=0, optimize=True)
