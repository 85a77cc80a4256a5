"""The gates of a block's modules, computed anew from the modulation when their outputs are forecast."""

from collections.abc import Mapping
from typing import Any

import comfy.model_management
import torch
from torch import Tensor

Gates = tuple[Tensor, ...]


def flux_double_gates(block: Any, args: Mapping[str, Any], layout: Mapping[str, Any]) -> Gates:
    """Flux.2 computes the modulation once for all blocks and hands it in."""
    vec = args["vec"]
    img, txt = (block.img_mod(vec), block.txt_mod(vec)) if block.modulation else vec
    img_gates = [_by_token(mod.gate, layout.get("modulation_dims_img"), args["img"]) for mod in img]
    txt_gates = [_by_token(mod.gate, layout.get("modulation_dims_txt"), args["txt"]) for mod in txt]
    return img_gates[0], img_gates[1], txt_gates[0], txt_gates[1]


def flux_single_gates(block: Any, args: Mapping[str, Any], layout: Mapping[str, Any]) -> Gates:
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


def qwen_image_gates(block: Any, args: Mapping[str, Any], layout: Mapping[str, Any]) -> Gates:
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


def wan_gates(block: Any, args: Mapping[str, Any], layout: Mapping[str, Any]) -> Gates:
    """Of self-attention, cross-attention (it has none) and MLP. ``vec`` holds six modulations, for all or by frame."""
    x, vec = args["img"], args["vec"]
    offset = comfy.model_management.cast_to(block.modulation, dtype=x.dtype, device=x.device)
    each = (offset + vec).chunk(6, dim=1) if vec.ndim < 4 else (offset.unsqueeze(0) + vec).unbind(2)
    tokens = x.shape[1]
    return _by_frame(each[2], tokens), torch.ones_like(each[2][:1, :1]), _by_frame(each[5], tokens)


def _by_frame(gate: Tensor, tokens: int) -> Tensor:
    """A gate (B, frames, C) spread over the tokens, frame after frame."""
    frames = gate.shape[1]
    return gate if frames == 1 else gate.repeat_interleave(-(-tokens // frames), dim=1)[:, :tokens]
