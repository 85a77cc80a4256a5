"""Wan 2.1 and 2.2, and the networks made of them."""

from typing import Any

import torch
from torch import nn

from ..model import TinyModel, randn, vision

import comfy.ops  # isort: skip
from comfy.ldm.wan.model import AudioProjModel  # isort: skip

LATENT, CONTEXT = (1, 16, 3, 8, 8), (6, 24)
WAN: dict[str, Any] = dict(
    image_model="wan2.1",
    model_type="t2v",
    in_dim=16,
    out_dim=16,
    dim=64,
    ffn_dim=128,
    freq_dim=32,
    text_dim=24,
    num_heads=2,
    num_layers=3,
    patch_size=(1, 2, 2),
)
I2V = dict(WAN, model_type="i2v", in_dim=36)
VACE = dict(WAN, model_type="vace", num_layers=4, vace_layers=2, vace_in_dim=96)
S2V = dict(WAN, model_type="s2v", audio_dim=16, audio_inject_layers=[0, 2])
DANCER = dict(
    I2V,
    model_type="wandancer",
    audio_inject_layers=[0, 2],
    music_dim=32,
    music_heads=2,
    music_feature_dim=35,
    music_latent_dim=32,
)


def pictures(seed: int) -> dict[str, Any]:
    """What CLIP sees of the first frame."""
    return {"clip_vision_output": vision(penultimate_hidden_states=randn(9, 1, 5, 1280))}


def first_frame(seed: int) -> dict[str, Any]:
    mask = torch.ones(1, 4, 3, 8, 8)
    mask[:, :, 0] = 0.0
    return {"concat_latent_image": randn(7, *LATENT), "concat_mask": mask}


def image_to_video(seed: int) -> dict[str, Any]:
    return {**first_frame(seed), **pictures(seed)}


def fun_control(seed: int) -> dict[str, Any]:
    return {"concat_latent_image": randn(7, 1, 32, 3, 8, 8), **pictures(seed)}


def fun_control22(seed: int) -> dict[str, Any]:
    return {
        **first_frame(seed),
        "concat_latent_image": randn(7, 1, 32, 3, 8, 8),
        "concat_mask_index": 16,
        "reference_latents": [randn(8, 1, 16, 1, 8, 8)],
    }


def camera(seed: int) -> dict[str, Any]:
    return {"concat_latent_image": randn(7, *LATENT), "camera_conditions": randn(8, 1, 24, 3, 64, 64)}


def vace(seed: int) -> dict[str, Any]:
    mask = (randn(8, 1, 64, 3, 8, 8) > 0.0).float()
    return {"vace_frames": [randn(7, 1, 32, 3, 8, 8)], "vace_mask": [mask], "vace_strength": [1.0]}


def small_audio_projection(network: nn.Module) -> None:
    small = dict(seq_len=8, blocks=5, channels=8, intermediate_dim=16, output_dim=1536, context_tokens=16)
    network.audio_proj = AudioProjModel(**small, dtype=network.dtype, operations=comfy.ops.manual_cast).eval()


def no_face(network: nn.Module) -> None:
    """Its encoder wants 512 x 512 pixels at every call."""
    network.motion_encoder = network.face_encoder = None


def humo(seed: int) -> dict[str, Any]:
    return {"audio_embed": randn(7, 1, 3, 8, 5, 8), "reference_latents": [randn(8, 1, 16, 1, 8, 8)]}


def speech(seed: int) -> dict[str, Any]:
    return {
        "audio_embed": randn(6, 1, 25, 16, 12),
        "reference_latents": [randn(7, 1, 16, 1, 8, 8)],
        "reference_motion": randn(8, 1, 16, 19, 8, 8),
        "control_video": randn(9, *LATENT),
    }


def animate(seed: int) -> dict[str, Any]:
    return {**image_to_video(seed), "pose_video_latent": randn(8, 1, 16, 2, 8, 8)}


def scail(seed: int) -> dict[str, Any]:
    pose = randn(8, 1, 16, 3, 4, 4)
    return {**pictures(seed), "reference_latents": [randn(7, 1, 16, 1, 8, 8)], "pose_video_latent": pose}


def scail2(seed: int) -> dict[str, Any]:
    masks = {"driving_mask_28ch": randn(5, 1, 3, 28, 4, 4), "ref_mask_28ch": randn(6, 1, 4, 28, 8, 8)}
    return {**scail(seed), **masks, "ref_mask_flag": True}


def music(seed: int) -> dict[str, Any]:
    reference = {"clip_vision_output_ref": vision(penultimate_hidden_states=randn(10, 1, 5, 1280))}
    return {**image_to_video(seed), **reference, "audio_embed": randn(6, 1, 12, 35)}


ROWS = (
    TinyModel("Wan 2.1 T2V", "WAN21_T2V", WAN, LATENT, CONTEXT),
    TinyModel("Wan 2.1 I2V", "WAN21_I2V", I2V, LATENT, CONTEXT, image_to_video),
    TinyModel("Wan 2.1 FLF2V", "WAN21_I2V", dict(I2V, flf_pos_embed_token_number=5), LATENT, CONTEXT, image_to_video),
    TinyModel("Wan 2.1 Fun Control", "WAN21_FunControl2V", dict(I2V, in_dim=48), LATENT, CONTEXT, fun_control),
    TinyModel("Wan 2.1 Camera", "WAN21_Camera", dict(I2V, model_type="camera", in_dim=32), LATENT, CONTEXT, camera),
    TinyModel("Wan 2.1 VACE", "WAN21_Vace", VACE, LATENT, CONTEXT, vace),
    TinyModel(
        "Phantom",
        "WAN21_T2V",
        WAN,
        LATENT,
        CONTEXT,
        lambda seed: {"time_dim_concat": randn(7, 1, 16, 1, 8, 8)},
    ),
    TinyModel(
        "Bernini",
        "WAN21_T2V",
        WAN,
        LATENT,
        CONTEXT,
        lambda seed: {"context_latents": [randn(7, 1, 16, 1, 8, 8), randn(8, 1, 16, 2, 4, 4)]},
    ),
    TinyModel(
        "HuMo",
        "WAN21_HuMo",
        dict(WAN, model_type="humo", in_dim=36),
        LATENT,
        CONTEXT,
        humo,
        setup=small_audio_projection,
    ),
    TinyModel("FlowRVS", "WAN21_FlowRVS", WAN, LATENT, CONTEXT, picture=True),
    TinyModel("SCAIL", "WAN21_SCAIL", dict(WAN, model_type="scail", in_dim=20), LATENT, CONTEXT, scail),
    TinyModel("SCAIL-2", "WAN21_SCAIL2", dict(WAN, model_type="scail2", in_dim=20), LATENT, CONTEXT, scail2),
    TinyModel("Causal Forcing", "WAN21_CausalAR_T2V", WAN, LATENT, CONTEXT),
    TinyModel("Wan 2.2 5B", "WAN22_T2V", dict(WAN, in_dim=48, out_dim=48), (1, 48, 3, 4, 4), CONTEXT),
    TinyModel("Wan 2.2 14B T2V", "WAN21_T2V", WAN, LATENT, CONTEXT),
    TinyModel("Wan 2.2 14B I2V", "WAN21_T2V", dict(WAN, in_dim=36), LATENT, CONTEXT, first_frame),
    TinyModel(
        "Wan 2.2 Fun Control", "WAN21_T2V", dict(WAN, in_dim=52, in_dim_ref_conv=16), LATENT, CONTEXT, fun_control22
    ),
    TinyModel("Wan 2.2 Camera", "WAN22_Camera", dict(WAN, model_type="camera_2.2", in_dim=36), LATENT, CONTEXT, camera),
    TinyModel("Wan 2.2 S2V", "WAN22_S2V", S2V, LATENT, CONTEXT, speech),
    TinyModel(
        "Wan 2.2 Animate", "WAN22_Animate", dict(I2V, model_type="animate"), LATENT, CONTEXT, animate, setup=no_face
    ),
    TinyModel("WanDancer", "WAN22_WanDancer", DANCER, LATENT, CONTEXT, music),
    TinyModel(
        "WanDancer, keyframes",
        "WAN22_WanDancer",
        DANCER,
        LATENT,
        CONTEXT,
        lambda seed: {**music(seed), "fps": 5},
        since="0.30",  # before: one condition in a call only
    ),
)
