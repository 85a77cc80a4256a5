"""ControlNets, model patches and reference pictures."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import comfy.cldm.cldm
import comfy.cldm.mmdit
import comfy.controlnet
import comfy.ldm.flux.controlnet
import comfy.ldm.qwen_image.controlnet
import comfy.model_management
import comfy.model_patcher
import comfy.ops
import node_helpers
import torch
from tiny_models.model import Conditioning, fill
from torch import Tensor, nn

import nodes

from .workflow import Composition, Workflow, call, node

GROUP = "Control and references"
PIXELS = 8  # of a picture for one of the latent


def _settings(w: Workflow) -> dict[str, Any]:
    """The network's own, for a ControlNet of the same size."""
    return {
        **w.model.model.model_config.unet_config,
        "dtype": w.model.model_dtype(),
        "operations": comfy.ops.manual_cast,
    }


def _flux(w: Workflow) -> comfy.controlnet.ControlNet:
    network = comfy.ldm.flux.controlnet.ControlNetFlux(latent_input=True, **{**_settings(w), "in_channels": 16})
    return comfy.controlnet.ControlNet(network, compression_ratio=1, extra_conds=["y", "guidance"])


def _qwen_image(w: Workflow) -> comfy.controlnet.ControlNet:
    network = comfy.ldm.qwen_image.controlnet.QwenImageControlNetModel(**_settings(w))
    return comfy.controlnet.ControlNet(network, compression_ratio=1, extra_conds=[])


def _sd3(w: Workflow) -> comfy.controlnet.ControlNet:
    settings = {"num_blocks": 1, "control_latent_channels": 16, **_settings(w)}
    return comfy.controlnet.ControlNet(comfy.cldm.mmdit.ControlNet(**settings), compression_ratio=1)


def _unet(w: Workflow) -> comfy.controlnet.ControlNet:
    settings = {k: v for k, v in _settings(w).items() if k != "out_channels"}
    return comfy.controlnet.ControlNet(comfy.cldm.cldm.ControlNet(hint_channels=3, **settings))


# By the class of the network, and what its hint is: a latent or a picture.
CONTROLNETS: dict[str, tuple[Callable[[Workflow], comfy.controlnet.ControlNet], str]] = {
    "Flux": (_flux, "latent"),
    "QwenImageTransformer2DModel": (_qwen_image, "latent"),
    "MMDiT": (_sd3, "latent"),
    "OpenAISignatureMMDITWrapper": (_sd3, "latent"),
    "UNetModel": (_unet, "picture"),
}


def _no_controlnet(w: Workflow) -> str:
    aura = type(w.network).__module__ == "comfy.ldm.aura.mmdit"  # an MMDiT by name only
    flux2 = hasattr(w.network, "double_stream_modulation_img")
    known = type(w.network).__name__ in CONTROLNETS and not (aura or flux2)
    return "" if known else "the host has no ControlNet for this network"


def _controlnet(w: Workflow, seed: int) -> tuple[comfy.controlnet.ControlNet, Tensor]:
    """A ControlNet with random weights, and an IMAGE for it."""
    build, kind = CONTROLNETS[type(w.network).__name__]
    control = build(w)
    fill(control.control_model, seed)
    control.control_model.eval()
    if kind == "latent":
        return control, w.noise(seed).movedim(1, -1)
    height, width = w.shape[-2:]
    return control, torch.rand(1, height * PIXELS, width * PIXELS, 3, generator=torch.Generator().manual_seed(seed))


def _apply(w: Workflow, seed: int = 21, start: float = 0.0, end: float = 1.0) -> Workflow:
    control, image = _controlnet(w, seed)
    apply = nodes.ControlNetApplyAdvanced().apply_controlnet
    positive, negative = apply(w.positive, w.negative, control, image, 0.6, start, end)
    return replace(w, positive=positive, negative=negative, watched=(*w.watched, control.control_model))


def _positive_only(w: Workflow) -> Workflow:
    return replace(_apply(w), negative=w.negative)


def _two(w: Workflow) -> Workflow:
    return _apply(_apply(w), seed=22, start=0.3, end=0.7)


@dataclass(frozen=True)
class StandInVAE:
    """Pictures to latents by averages, where a node wants a VAE.

    images: (B, H, W, 3) -> (B, channels, H/8, W/8); of a video, (1, channels, (B - 1)/4 + 1, H/8, W/8).
    """

    channels: int
    video: bool

    def spacial_compression_encode(self) -> int:
        return PIXELS

    def temporal_compression_decode(self) -> int:
        return 4

    def encode(self, images: Tensor) -> Tensor:
        small = torch.nn.functional.avg_pool2d(images.movedim(-1, 1), PIXELS)
        latent = small.repeat(1, self.channels // 3 + 1, 1, 1)[:, : self.channels]
        return latent[::4].movedim(0, 1).unsqueeze(0) if self.video else latent


def _model_patch(network: nn.Module) -> Any:
    """What ModelPatchLoader returns for a file."""
    fill(network, 23)
    device = comfy.model_management.unet_offload_device()
    return comfy.model_patcher.ModelPatcher(network, comfy.model_management.get_torch_device(), device)


def _image(w: Workflow) -> Tensor:
    height, width = w.shape[-2:]
    return torch.rand(1, height * PIXELS, width * PIXELS, 3, generator=torch.Generator().manual_seed(24))


def _diffsynth(w: Workflow) -> Workflow:
    kind = node("nodes_model_patch", "QwenImageBlockWiseControlNet")
    network = kind(
        num_layers=len(w.network.transformer_blocks),
        in_dim=64,
        dim=w.network.inner_dim,
        dtype=w.model.model_dtype(),
        operations=comfy.ops.manual_cast,
    )
    inputs = (w.model, _model_patch(network), StandInVAE(16, video=True), _image(w), 0.6)
    model = call("nodes_model_patch", "QwenImageDiffsynthControlnet", *inputs)
    return replace(w, model=model, watched=(*w.watched, *network.controlnet_blocks))


def _no_diffsynth(w: Workflow) -> str:
    if type(w.network).__name__ != "QwenImageTransformer2DModel":
        return "a model patch for Qwen-Image"
    return "" if w.shape[2] == 1 else "a model patch for one picture"


def _uni3c(w: Workflow) -> Workflow:
    from comfy.ldm.wan.uni3c import WanUni3CControlnet

    sizes = {"conv_out_dim": 32, "dim": 24, "ffn_dim": 32, "num_heads": 2, "num_layers": 2, "mid_channels": 16}
    network = WanUni3CControlnet(
        time_embed_dim=w.network.dim,
        out_proj_dim=w.network.dim,
        dtype=w.model.model_dtype(),
        operations=comfy.ops.manual_cast,
        **sizes,
    )
    inputs = (w.model, _model_patch(network), StandInVAE(16, video=True), _image(w).repeat(3, 1, 1, 1), 0.6, 0.0, 0.6)
    model = call("nodes_model_patch", "WanUni3CControlnetApply", *inputs)
    return replace(w, model=model, watched=(*w.watched, *network.controlnet_blocks))


def _no_uni3c(w: Workflow) -> str:
    if node("nodes_model_patch", "WanUni3CControlnetApply") is None:
        return "this ComfyUI has no Uni3C"
    return "" if type(w.network).__name__ == "WanModel" else "a model patch for Wan"


def _referenced(w: Workflow, method: str = "") -> Workflow:
    def referenced(conditioning: Conditioning) -> Conditioning:
        reference = {"samples": w.noise(25)}
        found = call("nodes_edit_model", "ReferenceLatent", conditioning, reference)
        return call("nodes_flux", "FluxKontextMultiReferenceLatentMethod", found, method) if method else found

    return replace(w, positive=referenced(w.positive), negative=referenced(w.negative))


def _no_reference(w: Workflow) -> str:
    kinds = type(w.model.model).__mro__
    reads = any("reference_latents" in inspect.getsource(k.extra_conds) for k in kinds if "extra_conds" in vars(k))
    return "" if reads else "the host gives this network no reference latents"


def _masked_concat(w: Workflow) -> Workflow:
    """What InpaintModelConditioning puts into conditionings and latent."""
    shape = w.shape
    mask = torch.zeros(1, 1, *shape[-2:])
    mask[..., : shape[-1] // 2] = 1.0

    def concat(conditioning: Conditioning) -> Conditioning:
        values = {"concat_latent_image": w.noise(26), "concat_mask": mask}
        return node_helpers.conditioning_set_values(conditioning, values)

    latent = {"samples": w.noise(26), "noise_mask": mask}
    return replace(w, positive=concat(w.positive), negative=concat(w.negative), latent=latent)


def _no_concat(w: Workflow) -> str:
    if len(w.shape) != 4:
        return "for pictures only"
    picture = {"noise": w.noise(26), "concat_latent_image": w.noise(26), "device": torch.device("cpu")}
    return "the network takes no picture beside its latent" if w.model.model.concat_cond(**picture) is None else ""


ROWS = (
    Composition("ControlNet", GROUP, _apply, _no_controlnet),
    Composition("ControlNet that ends mid-run", GROUP, lambda w: _apply(w, end=0.5), _no_controlnet),
    Composition("ControlNet on the positive alone", GROUP, _positive_only, _no_controlnet),
    Composition("two ControlNets, one for a part", GROUP, _two, _no_controlnet),
    Composition("QwenImageDiffsynthControlnet", GROUP, _diffsynth, _no_diffsynth),
    Composition("WanUni3CControlnetApply", GROUP, _uni3c, _no_uni3c),
    Composition("ReferenceLatent", GROUP, _referenced, _no_reference),
    Composition("ReferenceLatent, index", GROUP, lambda w: _referenced(w, "index"), _no_reference),
    Composition("InpaintModelConditioning", GROUP, _masked_concat, _no_concat),
)
