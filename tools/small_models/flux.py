"""The small Flux: the host's own modules at a small size, and a forward that autograd can differentiate.

The host's blocks add to their inputs in place, which autograd refuses, so training needs its own forward over the
same modules. tests/tools/test_small_models.py holds the two forwards against each other.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from . import host  # noqa: F401  first: makes `comfy` importable

import comfy.ldm.flux.layers as layers  # isort: skip
import comfy.ops  # isort: skip
from comfy.ldm.flux.model import Flux  # isort: skip

from .initialise import initialise
from .latents import CHANNELS
from .pictures import CODE_DIM

HIDDEN = 128  # one attention head: the host derives the number of heads from hidden_size // 128
CONFIG = dict(
    image_model="flux",
    in_channels=CHANNELS,
    out_channels=CHANNELS,
    vec_in_dim=CODE_DIM,
    context_in_dim=CODE_DIM,
    hidden_size=HIDDEN,
    mlp_ratio=4.0,
    num_heads=1,
    depth=2,
    depth_single_blocks=6,
    axes_dim=[16, 56, 56],
    theta=10000,
    patch_size=2,
    qkv_bias=True,
    guidance_embed=True,
    txt_ids_dims=[],
)


def build_flux(seed: int) -> Flux:
    """A float32 small Flux: Xavier weights, zero modulation and zero last layer (adaLN-Zero)."""
    torch.manual_seed(seed)
    net = Flux(**CONFIG, dtype=torch.float32, device="cpu", operations=comfy.ops.disable_weight_init)
    initialise(net, lambda name: ".lin." in name or "adaLN_modulation" in name or name.startswith("final_layer.linear"))
    return net


def _modulate(x: Tensor, mod: layers.ModulationOut) -> Tensor:
    return x * (1 + mod.scale) + mod.shift


def _rotate(x: Tensor, pe: Tensor) -> Tensor:
    """Rotary embedding of x (B, heads, L, D) by pe (1, 1, L, D / 2, 2, 2)."""
    pairs = x.unflatten(-1, (-1, 1, 2))
    return (pe[..., 0] * pairs[..., 0] + pe[..., 1] * pairs[..., 1]).flatten(-2)


def _attend(q: Tensor, k: Tensor, v: Tensor, pe: Tensor) -> Tensor:
    out = scaled_dot_product_attention(_rotate(q, pe), _rotate(k, pe), v)
    return out.transpose(1, 2).flatten(2)


def _split_heads(qkv: Tensor, heads: int) -> tuple[Tensor, ...]:
    return tuple(qkv.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4))


def _double_block(block: nn.Module, img: Tensor, txt: Tensor, vec: Tensor, pe: Tensor) -> tuple[Tensor, Tensor]:
    streams, qkv = [], []
    for x, mod, norm, attn in (
        (txt, block.txt_mod, block.txt_norm1, block.txt_attn),
        (img, block.img_mod, block.img_norm1, block.img_attn),
    ):
        mod1, mod2 = mod(vec)
        q, k, v = _split_heads(attn.qkv(_modulate(norm(x), mod1)), block.num_heads)
        q, k = attn.norm(q, k, v)
        streams.append((x, mod1, mod2))
        qkv.append((q, k, v))
    joint = _attend(*(torch.cat(parts, dim=2) for parts in zip(*qkv, strict=True)), pe)
    attended = joint.split([txt.shape[1], img.shape[1]], dim=1)
    out = []
    for (x, mod1, mod2), a, proj, norm, mlp in zip(
        streams,
        attended,
        (block.txt_attn.proj, block.img_attn.proj),
        (block.txt_norm2, block.img_norm2),
        (block.txt_mlp, block.img_mlp),
        strict=True,
    ):
        x = x + mod1.gate * proj(a)
        out.append(x + mod2.gate * mlp(_modulate(norm(x), mod2)))
    return out[1], out[0]


def _single_block(block: nn.Module, x: Tensor, vec: Tensor, pe: Tensor) -> Tensor:
    mod, _ = block.modulation(vec)
    qkv, mlp = block.linear1(_modulate(block.pre_norm(x), mod)).split(
        [3 * block.hidden_size, block.mlp_hidden_dim_first], dim=-1
    )
    q, k, v = _split_heads(qkv, block.num_heads)
    q, k = block.norm(q, k, v)
    return x + mod.gate * block.linear2(torch.cat((_attend(q, k, v, pe), block.mlp_act(mlp)), dim=2))


def training_forward(net: Flux, x: Tensor, sigma: Tensor, context: Tensor, pooled: Tensor, guidance: Tensor) -> Tensor:
    """The velocity the network predicts for latents x (B, C, H, W) at noise levels sigma (B,)."""
    tokens, ids = net.process_img(x[:1])
    img = net.img_in(net.process_img(x)[0])
    vec = net.time_in(layers.timestep_embedding(sigma, 256))
    vec = vec + net.guidance_in(layers.timestep_embedding(guidance, 256)) + net.vector_in(pooled)
    txt = net.txt_in(context)
    with torch.no_grad():
        pe = net.pe_embedder(torch.cat((torch.zeros(1, txt.shape[1], 3), ids), dim=1))
    for block in net.double_blocks:
        img, txt = _double_block(block, img, txt, vec, pe)
    hidden = torch.cat((txt, img), dim=1)
    for block in net.single_blocks:
        hidden = _single_block(block, hidden, vec, pe)
    shift, scale = net.final_layer.adaLN_modulation(vec)[:, None].chunk(2, dim=-1)
    out = net.final_layer.linear(net.final_layer.norm_final(hidden[:, txt.shape[1] :]) * (1 + scale) + shift)
    side = math.isqrt(tokens.shape[1])
    out = out.unflatten(1, (side, side)).unflatten(-1, (x.shape[1], 2, 2))  # (B, h, w, C, 2, 2)
    return out.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)
