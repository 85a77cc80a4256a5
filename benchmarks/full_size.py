"""Networks of real size with random weights, built by the host's own classes on the device; small ones for a CPU."""

import gc
import warnings
from dataclasses import dataclass, replace
from typing import Any

import torch
from tiny_models.model import TinyModel, randn
from torch import nn

import comfy.model_management  # isort: skip
import comfy.model_patcher  # isort: skip
import comfy.supported_models  # isort: skip

FLUX_DEV: dict[str, Any] = dict(
    image_model="flux",
    in_channels=16,
    out_channels=16,
    vec_in_dim=768,
    context_in_dim=4096,
    hidden_size=3072,
    mlp_ratio=4.0,
    num_heads=24,
    depth=19,
    depth_single_blocks=38,
    axes_dim=[16, 56, 56],
    theta=10000,
    txt_ids_dims=[],
    patch_size=2,
    qkv_bias=True,
    guidance_embed=True,
)
QWEN_IMAGE: dict[str, Any] = dict(image_model="qwen_image", in_channels=64, out_channels=16, num_layers=60)
WAN_1_3B: dict[str, Any] = dict(
    image_model="wan2.1",
    model_type="t2v",
    in_dim=16,
    out_dim=16,
    dim=1536,
    ffn_dim=8960,
    freq_dim=256,
    text_dim=4096,
    num_heads=12,
    num_layers=30,
    patch_size=(1, 2, 2),
)


def _pooled(seed: int) -> dict[str, Any]:
    return {"pooled_output": randn(seed, 1, 768), "guidance": 3.5}


@dataclass(frozen=True)
class Subject:
    """A network and the run that is measured.

    about  the size of what is sampled, as artists say it
    """

    row: TinyModel
    about: str
    steps: int
    cfg: float

    @property
    def name(self) -> str:
        guidance = "" if self.cfg == 1.0 else f", CFG {self.cfg:g}"
        return f"{self.row.name}, {self.about}, {self.steps} steps{guidance}"


_FLUX = Subject(
    TinyModel("FLUX.1 dev (12 B)", "Flux", FLUX_DEV, (1, 16, 128, 128), (512, 4096), _pooled),
    "1024x1024",
    50,
    1.0,
)
_QWEN = Subject(
    TinyModel("Qwen-Image (20 B)", "QwenImage", QWEN_IMAGE, (1, 16, 1, 166, 166), (128, 3584)),
    "1328x1328",
    28,  # of 50, three rounds of it would not fit into one call
    4.0,
)
_WAN = Subject(
    TinyModel("Wan 2.1 (1.3 B)", "WAN21_T2V", WAN_1_3B, (1, 16, 9, 60, 104), (512, 4096)),
    "33 frames of 832x480",
    28,
    5.0,
)
FULL = (_FLUX, replace(_FLUX, steps=28), _WAN, _QWEN)  # what decides the targets first, the longest last


def _small(subject: Subject, latent: tuple[int, ...], **unet: Any) -> Subject:
    row = replace(subject.row, name=f"{subject.row.name.partition(' (')[0]}, made small", latent=latent)
    row = replace(row, unet={**row.unet, **unet}, context=(32, row.context[1]))
    return replace(subject, row=row, about=f"latent {' x '.join(map(str, latent[2:]))}")


SMALL = (
    _small(_FLUX, (1, 16, 32, 32), hidden_size=256, num_heads=2, depth=3, depth_single_blocks=6),
    _small(_QWEN, (1, 16, 1, 32, 32), num_layers=4, num_attention_heads=2),
    _small(_WAN, (1, 16, 3, 16, 16), dim=256, ffn_dim=1024, num_heads=2, num_layers=6),
)


def build(row: TinyModel, dtype: torch.dtype) -> Any:
    """A MODEL of the host whose weights are made where they will be used; they never leave it.

    The host does not know that they are there: it would count their bytes as taken and as missing, and on a card which
    they fill to more than a half load only some of them. It is told once to load them all.
    """
    device = comfy.model_management.get_torch_device()
    config = getattr(comfy.supported_models, row.config)(dict(row.unet))
    config.unet_config.update(row.unet)
    config.set_inference_dtype(dtype, None)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about what old modules of the host do with NumPy
        model = config.get_model({}, device=device).to(device)
        _fill(model.diffusion_model)
    patcher = comfy.model_patcher.ModelPatcher(model, load_device=device, offload_device=device)
    comfy.model_management.load_models_gpu([patcher], force_full_load=True)
    return patcher


def fully_loaded(model: Any) -> bool:
    """Whether the host takes every weight of a MODEL or of a clone to be where it is used."""
    return not model.model.model_lowvram and model.loaded_size() >= model.model_size()


def free() -> None:
    """Unloads everything: what nobody holds any more is given back."""
    comfy.model_management.unload_all_models()
    tidy()


def tidy() -> None:
    gc.collect()
    comfy.model_management.soft_empty_cache()


def _fill(network: nn.Module) -> None:
    """Weights of unit gain, norms of 1 and small biases, so that nothing overflows on its way through the blocks."""
    torch.manual_seed(0)
    for name, module in network.named_modules():
        is_norm = "norm" in f"{name} {type(module).__name__}".lower()
        for kind, parameter in module.named_parameters(recurse=False):
            if parameter.ndim > 1:
                parameter.normal_(std=parameter[0].numel() ** -0.5)
            elif is_norm and kind in ("weight", "scale", "gamma"):
                parameter.fill_(1.0)
            else:
                parameter.normal_(std=0.02)
