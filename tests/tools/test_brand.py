"""The committed icon and banner are what the script draws, in the form that the registry asks for."""

from pathlib import Path

import pytest
from brand import banner, icon
from PIL import Image, ImageChops, ImageStat

IMAGES = Path(__file__).parents[2] / "docs" / "img"
DRAWN = {"icon.png": icon, "banner.png": banner}
ROUNDING = 0.5  # of 255, in the mean of a channel: versions of FreeType round the edges of letters differently


def distance(a, b):
    return max(ImageStat.Stat(ImageChops.difference(a, b)).mean)


@pytest.mark.parametrize("name", DRAWN)
def test_the_committed_picture_is_the_drawn_one(name):
    with Image.open(IMAGES / name) as committed:
        drawn = DRAWN[name]()
        assert (committed.size, committed.mode) == (drawn.size, drawn.mode)
        assert distance(committed, drawn) < ROUNDING


def test_another_mark_or_word_is_found():
    drawn = banner()
    for box in ((140, 320, 173, 406), (540, 380, 1100, 410)):  # a bar, the line of text
        changed = drawn.copy()
        changed.paste(drawn.getpixel((0, 0)), box)
        assert distance(drawn, changed) > ROUNDING


def test_drawing_twice_draws_the_same():
    assert icon().tobytes() == icon().tobytes()


def test_the_registry_takes_the_sizes():
    assert max(icon().size) <= 400
    width, height = banner().size
    assert width * 9 == height * 21
