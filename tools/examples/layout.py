"""One workflow as rows: its nodes in columns, and where they stand. Graph units are pixels at a zoom of 1."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

WIDE, BETWEEN = 300, 50  # a column, and the way to the next
ABOVE, BELOW = 30, 40  # a node: its title, and the way to the next; Nodes 2.0 puts "Error" there, of a missing file
TALL = {  # without the title, in whichever renderer needs more; what shows pictures or text takes more than it needs
    "CFGNorm": 114,
    "CLIPLoader": 114,
    "CLIPTextEncode": 150,
    "Canny": 90,
    "ConditioningZeroOut": 34,
    "ControlNetApplyAdvanced": 198,
    "ControlNetLoader": 62,
    "CreateVideo": 110,
    "DualCLIPLoader": 142,
    "EmptyHunyuanLatentVideo": 146,
    "EmptySD3LatentImage": 118,
    "FluxGuidance": 62,
    "FluxKontextImageScale": 34,
    "HiCacheCompare": 400,
    "HiCachePatchModel": 250,
    "HiCacheReport": 320,
    "KSampler": 262,
    "KSamplerAdvanced": 334,
    "LoadImage": 320,
    "LoadTrainingDataset": 106,
    "ModelSamplingAuraFlow": 62,
    "ModelSamplingSD3": 62,
    "MultiGPU_WorkUnits": 62,
    "PreviewAny": 200,
    "RebatchLatents": 62,
    "ReferenceLatent": 54,
    "SaveImage": 400,
    "SaveVideo": 400,
    "TextEncodeQwenImageEditPlus": 220,
    "UNETLoader": 86,
    "VAEDecode": 54,
    "VAEEncode": 54,
    "VAELoader": 62,
}
NOTE, WIDE_NOTE = (2 * WIDE + BETWEEN, 220), (3 * WIDE + 2 * BETWEEN, 220)
TOP = -NOTE[1] - ABOVE - BELOW  # where a column begins that stands beside the note
GREEN, YELLOW = ("#232", "#353"), ("#432", "#653")  # title and body, of LiteGraph's own presets


@dataclass(frozen=True)
class Node:
    """links: the sources of inputs, ``{"model": ("unet", "MODEL")}``, of the first output where the name is empty."""

    key: str
    type: str
    links: dict[str, tuple[str, str]]
    widgets: dict[str, Any]
    title: str = ""
    tall: float = 0


def node(key: str, kind: str, links: str = "", /, *, named: str = "", tall: float = 0, **widgets: Any) -> Node:
    """links: "input=key" or "input=key.output", apart by spaces. tall: instead of the type's own height."""
    parsed = {}
    for link in links.split():
        name, source = link.split("=")
        parsed[name] = (source.partition(".")[0], source.partition(".")[2])
    return Node(key, kind, parsed, widgets, named, tall or TALL[kind])


def patch(key: str, model: str, speed: float, named: str = "") -> Node:
    return node(key, "HiCachePatchModel", f"model={model}", named=named, mode="target speed", speed=speed)


@dataclass(frozen=True)
class Column:
    nodes: tuple[Node, ...]
    wide: float = WIDE
    top: float = 0  # where it begins

    @property
    def bottom(self) -> float:
        return self.top + sum(row.tall for row in self.nodes) + (len(self.nodes) - 1) * (BELOW + ABOVE)


def column(*nodes: Node, wide: float = WIDE, top: float = 0) -> Column:
    return Column(nodes, wide, top)


@dataclass(frozen=True)
class Example:
    """note: Markdown, above the first columns, note_size wide and tall. run: it can be executed on any machine."""

    title: str
    note: str
    columns: tuple[Column, ...]
    note_size: tuple[float, float] = NOTE
    run: bool = field(default=False, kw_only=True)

    @property
    def nodes(self) -> Iterator[Node]:
        for one in self.columns:
            yield from one.nodes

    def boxes(self) -> Iterator[tuple[Node, tuple[float, float], tuple[float, float]]]:
        """Every node with the position and the size that LiteGraph takes: without the title.

        The last one, which shows what comes out, reaches down as far as the longest column.
        """
        bottom, x = max(one.bottom for one in self.columns), 0.0
        for one in self.columns:
            y = one.top
            for row in one.nodes:
                tall = bottom - y if row is self.columns[-1].nodes[-1] else row.tall
                yield row, (x, y), (one.wide, tall)
                y += tall + BELOW + ABOVE
            x += one.wide + BETWEEN
