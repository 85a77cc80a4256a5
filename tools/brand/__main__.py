"""Writes docs/img/icon.png and docs/img/banner.png."""

from pathlib import Path

from . import banner, icon

IMAGES = Path(__file__).parents[2] / "docs" / "img"

if __name__ == "__main__":
    icon().save(IMAGES / "icon.png", optimize=True)
    banner().save(IMAGES / "banner.png", optimize=True)
