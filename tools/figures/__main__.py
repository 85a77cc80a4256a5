"""Draws every figure of docs/ that is not the result of a benchmark."""

from pathlib import Path

import torch

from . import mathematics, runs

IMAGES = Path(__file__).parents[2] / "docs" / "img"


def draw(folder: Path) -> None:
    mathematics.bases(folder / "bases.png")
    mathematics.differences(folder / "differences.png")
    with torch.no_grad():
        runs.corrector(folder / "corrector.png")
        runs.step_size(folder / "step_size.png")


if __name__ == "__main__":
    torch.set_num_threads(1)
    draw(IMAGES)
