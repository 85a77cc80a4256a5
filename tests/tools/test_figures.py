"""Every figure that the documents show is drawn, and every one that is drawn is shown."""

import re
from pathlib import Path

import pytest
from figures.__main__ import draw
from PIL import Image

DOCS = Path(__file__).parents[2] / "docs"
DRAWN_ELSEWHERE = {"demo.png", "small_models_pictures.png"}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    draw(folder)
    return folder


def test_the_documents_show_the_figures_that_are_drawn(drawn):
    shown = {name for page in DOCS.glob("*.md") for name in re.findall(r"\(img/([^)]+)\)", page.read_text("utf-8"))}
    assert {path.name for path in drawn.iterdir()} == shown - DRAWN_ELSEWHERE


def test_a_figure_has_ink_on_it(drawn):
    for path in drawn.iterdir():
        with Image.open(path) as image:
            assert min(image.size) > 300
            darkest, brightest = image.convert("L").getextrema()
            assert darkest < 80
            assert brightest == 255
