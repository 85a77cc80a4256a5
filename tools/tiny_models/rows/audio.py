"""Networks for sound."""

from typing import Any

import torch
from torch import Tensor, nn

from ..model import TinyModel, fill, randn

import comfy.ops  # isort: skip
from comfy.ldm.ace.lyric_encoder import ConformerEncoder  # isort: skip
from comfy.ldm.audio.embedders import NumberConditioner  # isort: skip

STABLE_AUDIO = dict(
    audio_model="dit1.0",
    io_channels=16,
    embed_dim=64,
    cond_token_dim=768,
    project_cond_tokens=True,
    global_cond_dim=2 * 768,
    input_concat_dim=0,
    depth=2,
    num_heads=2,
    timestep_features_type="learned",
)
STABLE_AUDIO3 = dict(
    STABLE_AUDIO,
    global_cond_dim=768,
    num_memory_tokens=4,
    attn_kwargs={"qk_norm": "rms", "differential": True},
    norm_type="rms_norm",
    timestep_features_type="expo",
    local_add_cond_dim=17,
    global_cond_shared_embed=True,
    global_cond_type="adaLN",
)
ACE_STEP = dict(
    audio_model="ace",
    in_channels=8,
    out_channels=8,
    num_layers=2,
    inner_dim=64,
    attention_head_dim=32,
    num_attention_heads=2,
    mlp_ratio=2.0,
    max_position=64,
    max_width=64,
    text_embedding_dim=24,
    lyric_encoder_vocab_size=50,
    lyric_hidden_size=32,
    ssl_latent_dims=[8, 8],
)
ACE_STEP15 = dict(
    audio_model="ace1.5",
    hidden_size=64,
    text_hidden_dim=24,
    num_dit_layers=2,
    num_lyric_layers=1,
    num_timbre_layers=1,
    num_tokenizer_layers=1,
    num_heads=4,
    num_kv_heads=2,
    head_dim=16,
    intermediate_size=128,
    fsq_dim=64,
    encoder_hidden_size=64,
    encoder_intermediate_size=128,
    encoder_num_heads=4,
)


def numbers(*names: str, **kind: Any) -> dict[str, Tensor]:
    """The embedders of lengths, from a checkpoint."""
    tensors = {}
    for seed, name in enumerate(names):
        conditioner = NumberConditioner(768, **kind)
        fill(conditioner, seed)
        tensors |= {f"conditioner.conditioners.{name}.{key}": t for key, t in conditioner.state_dict().items()}
    return tensors


def small_lyric_encoder(network: nn.Module) -> None:
    network.lyric_encoder = ConformerEncoder(
        input_size=32,
        output_size=32,
        attention_heads=2,
        linear_units=64,
        num_blocks=1,
        static_chunk_size=0,
        dtype=network.dtype,
        operations=comfy.ops.manual_cast,
    ).eval()


def lyrics(seed: int) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(seed)
    return {"conditioning_lyrics": torch.randint(0, 50, (1, 7), generator=generator)}


ROWS = (
    TinyModel(
        "Stable Audio 1",
        "StableAudio",
        STABLE_AUDIO,
        (1, 16, 24),
        (6, 768),
        checkpoint=lambda: numbers("seconds_start", "seconds_total"),
    ),
    TinyModel(
        "Stable Audio 3",
        "StableAudio3",
        STABLE_AUDIO3,
        (1, 16, 24),
        (6, 768),
        checkpoint=lambda: {
            **numbers("seconds_total", fourier_features_type="expo"),
            "conditioner.conditioners.prompt.padding_embedding": randn(5, 768),
        },
    ),
    TinyModel("ACE-Step", "ACEStep", ACE_STEP, (1, 8, 16, 12), (6, 24), lyrics, setup=small_lyric_encoder),
    TinyModel(
        "ACE-Step 1.5",
        "ACEStep15",
        ACE_STEP15,
        (1, 64, 20),
        (6, 24),
        lambda seed: {"conditioning_lyrics": randn(seed + 100, 1, 7, 24)},
    ),
    TinyModel(
        "ACE-Step 1.5, cover",
        "ACEStep15",
        ACE_STEP15,
        (1, 64, 20),
        (6, 24),
        lambda seed: {
            "conditioning_lyrics": randn(seed + 100, 1, 7, 24),
            "reference_audio_timbre_latents": [randn(7, 1, 64, 20)],
        },
    ),
)
