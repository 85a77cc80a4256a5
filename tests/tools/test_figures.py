"""Every figure that the documents show is drawn, and every one that is drawn is shown."""

import re
from pathlib import Path

import pytest
from figures.__main__ import draw
from PIL import Image

DOCS = Path(__file__).parents[2] / "docs"
BLUE, RED = (0x21, 0x66, 0xAC), (0xB2, 0x18, 0x2B)  # of what the figures are about
DRAWN_ELSEWHERE = {"demo.png", *(f"small_models_{name}.png" for name in ("pictures", "sdxl", "wan"))}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    draw(folder)
    return folder


def test_the_documents_show_the_figures_that_are_drawn(drawn):
    shown = {name for page in DOCS.glob("*.md") for name in re.findall(r"\(img/([^)/]+)\)", page.read_text("utf-8"))}
    assert {path.name for path in drawn.iterdir()} == shown - DRAWN_ELSEWHERE


def test_a_figure_has_its_curves(drawn):
    for path in drawn.iterdir():
        with Image.open(path) as image:
            assert min(image.size) > 300
            colours = {colour for _, colour in image.convert("RGB").getcolors(1 << 20)}
            assert {BLUE, RED} & colours, path.name
