"""Wan 2.2: two networks, one for the noisy half of the steps and one for the rest."""

from typing import Any

from .layout import ABOVE, BELOW, TALL, TOP, Example, Node, column, node, patch

STEPS, SPLIT, SPEED = 40, 20, 2.0
HALF = TALL["ModelSamplingSD3"] + BELOW + ABOVE + TALL["HiCachePatchModel"]  # a sampler stands beside its model


def _model(noise: str) -> tuple[Node, Node]:
    return (
        node(f"shift_{noise}", "ModelSamplingSD3", f"model=unet_{noise}", shift=5),
        patch(f"hicache_{noise}", f"shift_{noise}", SPEED, f"HiCache, {noise} noise"),
    )


def _sampler(noise: str, latent: str, **widgets: Any) -> Node:
    links = f"model=hicache_{noise} positive=positive negative=negative latent_image={latent}"
    common = {"steps": STEPS, "cfg": 3.5, "sampler_name": "euler", "scheduler": "simple"}
    return node(
        f"sampler_{noise}",
        "KSamplerAdvanced",
        links,
        named=f"{noise} noise".capitalize(),
        tall=HALF,
        **common,
        **widgets,
    )


WAN = (
    Example(
        "HiCache Wan 2.2 text to video",
        "## Wan 2.2, faster\n\n"
        "Wan 2.2 has two networks: one samples the noisy first half of the steps, one the rest. Each has its own "
        "**HiCache Patch Model**, which lets it compute 10 of its 20 steps and forecasts the others: 40 steps, as its "
        "authors do them, at about the price of 20. Move **speed** in both: 1.5 stays closer to the full run, 3 is "
        "for drafts. To compare, bypass both (Ctrl+B) and run again: the seed is fixed.",
        (
            column(
                node("unet_high", "UNETLoader", unet_name="wan2.2_t2v_high_noise_14B_fp8_scaled.safetensors"),
                node("unet_low", "UNETLoader", unet_name="wan2.2_t2v_low_noise_14B_fp8_scaled.safetensors"),
                node("clip", "CLIPLoader", clip_name="umt5_xxl_fp8_e4m3fn_scaled.safetensors", type="wan"),
                node("vae", "VAELoader", vae_name="wan_2.1_vae.safetensors"),
            ),
            column(
                node(
                    "positive",
                    "CLIPTextEncode",
                    "clip=clip",
                    named="Prompt",
                    tall=170,
                    text="A red fox walks through fresh snow in a birch forest, stops and looks into the camera, its "
                    "breath in the cold air, soft morning light, slow tracking shot",
                ),
                node(
                    "negative",
                    "CLIPTextEncode",
                    "clip=clip",
                    named="Negative prompt",
                    tall=110,
                    text="static, blurred, overexposed, washed out, subtitles, worst quality, deformed limbs",
                ),
                node("latent", "EmptyHunyuanLatentVideo", width=640, height=640, length=81),
            ),
            column(*_model("high"), *_model("low"), top=TOP),
            column(
                _sampler(
                    "high",
                    "latent",
                    add_noise="enable",
                    noise_seed=7,
                    start_at_step=0,
                    end_at_step=SPLIT,
                    return_with_leftover_noise="enable",
                ),
                _sampler(
                    "low",
                    "sampler_high",
                    add_noise="disable",
                    noise_seed=0,
                    start_at_step=SPLIT,
                    end_at_step=10_000,
                    return_with_leftover_noise="disable",
                ),
                top=TOP,
            ),
            column(
                node("decode", "VAEDecode", "samples=sampler_low vae=vae"),
                node("video", "CreateVideo", "images=decode", fps=16),
                node("save", "SaveVideo", "video=video", filename_prefix="video/HiCache_Wan"),
                wide=380,
                top=TOP,
            ),
        ),
    ),
)
