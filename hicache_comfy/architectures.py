"""The networks whose blocks can be skipped: rows, never a copied forward.

A row says which lists of blocks a network has, in the order in which they run, which streams of tokens they carry, and
for every slot of the paper which module makes it and how to get its gate.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from comfy.ldm.flux.model import Flux
from comfy.ldm.qwen_image.model import QwenImageTransformer2DModel
from torch import Tensor
from torch.nn import Module

Gates = tuple[Tensor, ...]


@dataclass(frozen=True, slots=True)
class ModuleSlot:
    """What ``module`` of a block returns, before its gate; it is added to ``stream``."""

    name: str
    stream: str
    module: str


@dataclass(frozen=True, slots=True)
class BlockKind:
    """One list of equal blocks.

    name       the host's name in patches_replace["dit"]
    attribute  the list in the network
    streams    what a block takes and returns, (B, tokens, channels) each
    slots      in the order in which they are added
    layout     keyword arguments of a block that say which tokens belong to which modulation; the host does not show
               them to patches
    gates      (block, what the patch was given, layout) -> one gate per slot, (B, 1 or tokens, channels)
    """

    name: str
    attribute: str
    streams: tuple[str, ...]
    slots: tuple[ModuleSlot, ...]
    layout: tuple[str, ...]
    gates: Callable[[Module, Mapping[str, Any], Mapping[str, Any]], Gates]


@dataclass(frozen=True, slots=True)
class Architecture:
    """width: the attribute of the network with the channels of its hidden states"""

    name: str
    kinds: tuple[BlockKind, ...]
    width: str = "hidden_size"

    def places(self, network: Module) -> list[tuple[BlockKind, int]]:
        """Every block in the order in which they run."""
        return [(kind, index) for kind in self.kinds for index in range(len(getattr(network, kind.attribute)))]


def _flux_double_gates(block: Any, args: Mapping[str, Any], layout: Mapping[str, Any]) -> Gates:
    """Flux.2 computes the modulation once for all blocks and hands it in."""
    vec = args["vec"]
    img, txt = (block.img_mod(vec), block.txt_mod(vec)) if block.modulation else vec
    img_gates = [_by_token(mod.gate, layout.get("modulation_dims_img"), args["img"]) for mod in img]
    txt_gates = [_by_token(mod.gate, layout.get("modulation_dims_txt"), args["txt"]) for mod in txt]
    return img_gates[0], img_gates[1], txt_gates[0], txt_gates[1]


def _flux_single_gates(block: Any, args: Mapping[str, Any], layout: Mapping[str, Any]) -> Gates:
    mod = block.modulation(args["vec"])[0] if block.modulation else args["vec"]
    return (_by_token(mod.gate, layout.get("modulation_dims"), args["img"]),)


def _by_token(gate: Tensor, ranges: list[tuple[int, int, int]] | None, x: Tensor) -> Tensor:
    """A gate (B, modulations, C) spread over tokens: ``ranges`` holds (first, end, which modulation)."""
    if ranges is None:
        return gate
    spread = torch.ones_like(x)
    for first, end, which in ranges:
        spread[:, first:end] = gate[:, which : which + 1]
    return spread


def _qwen_image_gates(block: Any, args: Mapping[str, Any], layout: Mapping[str, Any]) -> Gates:
    """With ``timestep_zero_index`` the second half of the batch of ``vec`` modulates the reference tokens."""
    vec, zero = args["vec"], layout.get("timestep_zero_index")
    img1, img2 = block.img_mod(vec).chunk(2, dim=-1)
    txt1, txt2 = block.txt_mod(vec if zero is None else vec.chunk(2)[0]).chunk(2, dim=-1)
    tokens = args["img"].shape[1]
    img_gates = [_qwen_image_gate(mod, zero, tokens) for mod in (img1, img2)]
    txt_gates = [_qwen_image_gate(mod, None, 1) for mod in (txt1, txt2)]
    return img_gates[0], img_gates[1], txt_gates[0], txt_gates[1]


def _qwen_image_gate(modulation: Tensor, zero: int | None, tokens: int) -> Tensor:
    """The last of shift, scale, gate."""
    gate = modulation.chunk(3, dim=-1)[2].unsqueeze(1)
    if zero is None:
        return gate
    image, reference = gate.chunk(2)
    return torch.cat((image.expand(-1, zero, -1), reference.expand(-1, tokens - zero, -1)), dim=1)


def _four(img_attn: str, txt_attn: str) -> tuple[ModuleSlot, ...]:
    return (
        ModuleSlot("img_attn", "img", img_attn),
        ModuleSlot("img_mlp", "img", "img_mlp"),
        ModuleSlot("txt_attn", "txt", txt_attn),
        ModuleSlot("txt_mlp", "txt", "txt_mlp"),
    )


FLUX = Architecture(
    "Flux",
    (
        BlockKind(
            name="double_block",
            attribute="double_blocks",
            streams=("img", "txt"),
            slots=_four("img_attn.proj", "txt_attn.proj"),
            layout=("modulation_dims_img", "modulation_dims_txt"),
            gates=_flux_double_gates,
        ),
        BlockKind(
            name="single_block",
            attribute="single_blocks",
            streams=("img",),
            slots=(ModuleSlot("total", "img", "linear2"),),
            layout=("modulation_dims",),
            gates=_flux_single_gates,
        ),
    ),
)

QWEN_IMAGE = Architecture(
    "Qwen-Image",
    (
        BlockKind(
            name="double_block",
            attribute="transformer_blocks",
            streams=("img", "txt"),
            slots=_four("attn.to_out.0", "attn.to_add_out"),
            layout=("timestep_zero_index",),
            gates=_qwen_image_gates,
        ),
    ),
    width="inner_dim",
)

# By the exact class: a subclass may run its blocks in another way.
ARCHITECTURES: dict[type[Module], Architecture] = {Flux: FLUX, QwenImageTransformer2DModel: QWEN_IMAGE}
