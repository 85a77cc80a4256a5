"""The networks whose blocks can be skipped: rows, never a copied forward.

A row says which lists of blocks a network has, in the order in which they run, and which streams of tokens they carry.
Where it also says which module makes every slot of the paper and how to get its gate, level module works too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch.nn import Module

from .gates import Gates, flux_double_gates, flux_single_gates, qwen_image_gates, wan_gates


@dataclass(frozen=True, slots=True)
class ModuleSlot:
    """What ``module`` of a block returns, before its gate; it is added to ``stream``."""

    name: str
    stream: str
    module: str


@dataclass(frozen=True, slots=True)
class Modules:
    """What level module needs of one list of blocks.

    slots   in the order in which they are added
    layout  keyword arguments of a block that say which tokens belong to which modulation; the host does not show
            them to patches
    gates   (block, what the patch was given, layout) -> one gate per slot, (B, 1 or tokens, channels)
    unseen  the host's names of other packs' patches that act between the slots, so that no slot contains them
    """

    slots: tuple[ModuleSlot, ...]
    layout: tuple[str, ...]
    gates: Callable[[Module, Mapping[str, Any], Mapping[str, Any]], Gates]
    unseen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BlockKind:
    """One list of equal blocks.

    name       the host's name in patches_replace["dit"]
    attribute  the list in the network
    streams    what a block takes and returns, (B, tokens, channels) each; "img.1" is the second of a pair
    modules    None where the modules inside cannot be forecast
    """

    name: str
    attribute: str
    streams: tuple[str, ...]
    modules: Modules | None = None


@dataclass(frozen=True, slots=True)
class Architecture:
    """kinds   every list of blocks in the order in which they run
    result  the streams that leave the last block for the last layer
    patch   cells of the latent along a side of a token; 0: what the network calls patch_size
    """

    name: str
    kinds: tuple[BlockKind, ...]
    result: tuple[str, ...] = ("img",)
    patch: int = 0

    def places(self, network: Module) -> list[tuple[BlockKind, int]]:
        """Every block in the order in which they run."""
        return [(kind, index) for kind in self.kinds for index in range(len(getattr(network, kind.attribute)))]

    @property
    def levels(self) -> tuple[str, ...]:
        """The levels inside the network that it can work at."""
        return ("stack", "block", "module") if all(kind.modules for kind in self.kinds) else ("stack", "block")


def _four(img_attn: str, txt_attn: str) -> tuple[ModuleSlot, ...]:
    return (
        ModuleSlot("img_attn", "img", img_attn),
        ModuleSlot("img_mlp", "img", "img_mlp"),
        ModuleSlot("txt_attn", "txt", txt_attn),
        ModuleSlot("txt_mlp", "txt", "txt_mlp"),
    )


_WAN_MODULES = {"self_attn": "self_attn.o", "cross_attn": "cross_attn.o", "mlp": "ffn"}
_FLUX_DOUBLE = Modules(
    _four("img_attn.proj", "txt_attn.proj"), ("modulation_dims_img", "modulation_dims_txt"), flux_double_gates
)
_FLUX_SINGLE = Modules((ModuleSlot("total", "img", "linear2"),), ("modulation_dims",), flux_single_gates)
_WAN = Modules(
    tuple(ModuleSlot(name, "img", module) for name, module in _WAN_MODULES.items()), (), wan_gates, ("attn2_patch",)
)
_QWEN_IMAGE = Modules(_four("attn.to_out.0", "attn.to_add_out"), ("timestep_zero_index",), qwen_image_gates)


def _flux_like(
    name: str, double: str = "double_blocks", single: str = "single_blocks", modules: bool = True
) -> Architecture:
    """Blocks for two streams, then blocks for one that carries the text in front of the image."""
    of_double, of_single = (_FLUX_DOUBLE, _FLUX_SINGLE) if modules else (None, None)
    return Architecture(
        name,
        (
            BlockKind("double_block", double, ("img", "txt"), of_double),
            BlockKind("single_block", single, ("img",), of_single),
        ),
    )


def _joint(name: str, attribute: str, modules: Modules | None = None, patch: int = 0) -> Architecture:
    return Architecture(name, (BlockKind("double_block", attribute, ("img", "txt"), modules),), patch=patch)


def _plain(name: str, attribute: str, modules: Modules | None = None) -> Architecture:
    return Architecture(name, (BlockKind("double_block", attribute, ("img",), modules),))


FLUX = _flux_like("Flux")
QWEN_IMAGE = _joint("Qwen-Image", "transformer_blocks", _QWEN_IMAGE)
WAN = _plain("Wan", "blocks", _WAN)
WAN_AUDIO = _plain("Wan with audio", "blocks")
LTX_AV = Architecture(
    "LTX audio and video",
    (BlockKind("double_block", "transformer_blocks", ("img.0", "img.1")),),
    result=("img.0", "img.1"),
)

# By the exact class: a subclass may run its blocks in another way. Named and not imported: not every host has them all.
ARCHITECTURES: dict[str, Architecture] = {
    "comfy.ldm.flux.model.Flux": FLUX,
    "comfy.ldm.chroma.model.Chroma": _flux_like("Chroma"),
    "comfy.ldm.chroma_radiance.model.ChromaRadiance": _flux_like("Chroma Radiance"),
    "comfy.ldm.lens.model.LensTransformer2DModel": _joint("Lens", "transformer_blocks", patch=1),
    "comfy.ldm.qwen_image.model.QwenImageTransformer2DModel": QWEN_IMAGE,
    "comfy.ldm.mage_flow.model.MageFlowTransformer2DModel": _joint("MageFlow", "transformer_blocks"),
    "comfy.ldm.joyimage.model.JoyImageTransformer3DModel": _joint("JoyImage", "double_blocks"),
    "comfy.ldm.hunyuan_video.model.HunyuanVideo": _flux_like("HunyuanVideo"),
    "comfy.ldm.wan.model.WanModel": WAN,
    "comfy.ldm.wan.model.VaceWanModel": WAN,
    "comfy.ldm.wan.model.CameraWanModel": WAN,
    "comfy.ldm.wan.model.WanModel_S2V": WAN_AUDIO,
    "comfy.ldm.wan.model.HumoWanModel": WAN_AUDIO,
    "comfy.ldm.wan.model.SCAILWanModel": WAN,
    "comfy.ldm.wan.model.SCAIL2WanModel": WAN,
    "comfy.ldm.wan.model_animate.AnimateWanModel": WAN,
    "comfy.ldm.wan.model_wandancer.WanDancerModel": WAN,
    "comfy.ldm.modules.diffusionmodules.mmdit.OpenAISignatureMMDITWrapper": _joint(
        "Stable Diffusion 3", "joint_blocks"
    ),
    "comfy.ldm.aura.mmdit.MMDiT": _flux_like("AuraFlow", "double_layers", "single_layers", modules=False),
    "comfy.ldm.genmo.joint_model.asymm_models_joint.AsymmDiTJoint": _joint("Mochi", "blocks"),
    "comfy.ldm.lightricks.model.LTXVModel": _plain("LTX-Video", "transformer_blocks"),
    "comfy.ldm.lightricks.av_model.LTXAVModel": LTX_AV,
    "comfy.ldm.hydit.models.HunYuanDiT": _plain("HunyuanDiT", "blocks"),
    "comfy.ldm.hunyuan3d.model.Hunyuan3Dv2": _flux_like("Hunyuan3D 2"),
}

# Networks with block patches in the host that cannot be used, and why.
OUTPUT_ONLY: dict[str, str] = {
    "comfy.ldm.seedvr.model.NaDiT": "it packs all pictures of a batch into one sequence",
    "comfy.ldm.hunyuan3dv2_1.hunyuandit.HunYuanDiTPlain": "it swaps the conditions of a batch inside",
    "comfy.ldm.minimax.model.MiniMaxH3Model": "it packs all parts of a clip into one sequence",
    "comfy.ldm.hidream_o1.model.HiDreamO1Transformer": "it drops its own cache for the prompt where a block is patched",
    "comfy.ldm.audio.dit.AudioDiffusionTransformer": "it drops a part of the conditioning where a block is patched",
    "comfy.ldm.kandinsky5.model.Kandinsky5": "ComfyUI's own block patches fail there",
    "comfy.ldm.wan.ar_model.CausalWanModel": "it fills a cache at every call",
}


def name_of(network: Module | type[Module]) -> str:
    """The class of a network as the two tables name it."""
    kind = network if isinstance(network, type) else type(network)
    return f"{kind.__module__}.{kind.__qualname__}"


def architecture_of(network: Module) -> Architecture | None:
    return ARCHITECTURES.get(name_of(network))
