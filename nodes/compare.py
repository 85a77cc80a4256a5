"""HiCache Compare: how far two pictures are apart, in numbers and to look at."""

import math
from typing import Any

from comfy_api.latest import io, ui
from torch import Tensor

from ..hicache_core import shown
from ..hicache_core.metrics import psnr, ssim
from .plots import amplified, draw_difference

SMALLEST = 11  # pixels a side, the window of SSIM


def _refuse_unlike(first: Tensor, second: Tensor) -> None:
    for value in (first, second):
        if not isinstance(value, Tensor):  # a prompt may hold anything here
            raise TypeError(f"HiCache Compare needs two IMAGEs and got {shown(value)}: connect them.")
    if first.shape != second.shape:
        sizes = [f"{t.shape[0]} of {t.shape[2]}x{t.shape[1]}" for t in (first, second)]
        raise ValueError(f"HiCache Compare needs pictures of one size and number and got {sizes[0]} and {sizes[1]}.")
    if min(first.shape[1:3]) < SMALLEST:
        raise ValueError(f"HiCache Compare needs {SMALLEST} pixels a side and got {first.shape[2]}x{first.shape[1]}.")


def _measured(a: Tensor, b: Tensor) -> str:
    """In a line; of one picture each, (H, W, C)."""
    distance = psnr(a, b)
    if math.isinf(distance):
        return "equal, bit for bit"
    planes = (t[..., :3].movedim(-1, 0) for t in (a, b))
    return f"PSNR {distance:.1f} dB, SSIM {ssim(*planes):.4f}, largest difference {float((a - b).abs().max()):.3f}"


class HiCacheCompare(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiCacheCompare",
            display_name="HiCache Compare",
            category="HiCache",
            description="Compares two pictures: PSNR, SSIM, and where they differ, amplified.",
            search_aliases=["PSNR", "SSIM", "difference", "A/B", "compare images"],
            inputs=[
                io.Image.Input("first", tooltip="Such as the picture without HiCache."),
                io.Image.Input("second", tooltip="Such as the one with HiCache; of the same size and number."),
                io.Float.Input(
                    "amplify",
                    default=8.0,
                    min=1.0,
                    max=100.0,
                    step=1.0,
                    tooltip="How many times stronger the difference is shown than it is. Equal pixels stay black.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="COMPARISON", tooltip="Both pictures and their difference, side by side."),
                io.Image.Output(display_name="DIFFERENCE", tooltip="The amplified difference alone."),
                io.String.Output(
                    display_name="TEXT",
                    tooltip="One line for each pair. PSNR: 40 dB and more is hard to see. SSIM: 1 is equal.",
                ),
            ],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, first: Any, second: Any, amplify: float) -> io.NodeOutput:
        _refuse_unlike(first, second)
        lines = [_measured(a, b) for a, b in zip(first, second, strict=True)]
        both = draw_difference(first, second, amplify, lines)
        shown = ui.PreviewImage(both, cls=cls)
        return io.NodeOutput(both, amplified(first, second, amplify), "\n".join(lines), ui=shown)
