"""A picture of a workflow as the frontend draws it, for the template browser."""

import io
from pathlib import Path

from frontend import Frontend
from PIL import Image

VIEW = (1900, 1300)  # CSS pixels: a zoom of about 1, so that the picture is made smaller only once
WIDE, LARGEST = 640, 120_000  # pixels, bytes
MARGIN, CORNER = 30, 60  # around the nodes, and where the frontend keeps a button
FIT = """([margin, width, height]) => {
  const boxes = app.graph.nodes.map(node => node.getBounding());
  const left = Math.min(...boxes.map(b => b[0])), top = Math.min(...boxes.map(b => b[1]));
  const right = Math.max(...boxes.map(b => b[0] + b[2])), bottom = Math.max(...boxes.map(b => b[1] + b[3]));
  const scale = Math.min(width / (right - left + 2 * margin), height / (bottom - top + 2 * margin));
  app.canvas.ds.scale = scale;
  app.canvas.ds.offset = [margin - left, margin - top];
  app.canvas.deselectAll();
  app.canvas.setDirty(true, true);
  return [(right - left + 2 * margin) * scale, (bottom - top + 2 * margin) * scale];
}"""


def photograph(frontend: Frontend, file: Path) -> None:
    """Writes a JPEG of the graph that is open, from its first node to its last."""
    place = frontend.evaluate(
        "() => { const r = app.canvas.canvas.getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; }"
    )
    wide, tall = frontend.evaluate(FIT, [MARGIN, place[2] - CORNER, place[3]])
    frontend.page.wait_for_timeout(1000)
    clip = {"x": place[0], "y": place[1], "width": wide, "height": tall}
    shot = Image.open(io.BytesIO(frontend.page.screenshot(clip=clip))).convert("RGB")
    small = shot.resize((WIDE, round(WIDE * shot.height / shot.width)), Image.Resampling.LANCZOS)
    small.save(file, quality=_quality(small), optimize=True)


def _quality(picture: Image.Image) -> int:
    """The best that is not too many bytes."""
    for quality in (92, 88, 84, 80, 75, 70):
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality, optimize=True)
        if buffer.tell() <= LARGEST:
            return quality
    return 65
