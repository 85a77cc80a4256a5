"""FLUX.1 dev: from text, with an edit by Kontext, and with a ControlNet."""

from .layout import TOP, WIDE_NOTE, Column, Example, Node, column, node, patch

STEPS, SPEED = 28, 2.5


def _loaders(unet: str, t5: str, *more: Node) -> Column:
    return column(
        node("unet", "UNETLoader", unet_name=unet),
        node("clip", "DualCLIPLoader", clip_name1="clip_l.safetensors", clip_name2=t5, type="flux"),
        node("vae", "VAELoader", vae_name="ae.safetensors"),
        *more,
    )


def _sampled(positive: str, negative: str, latent: str, prefix: str) -> Column:
    links = f"model=hicache positive={positive} negative={negative} latent_image={latent}"
    return column(
        node("sampler", "KSampler", links, seed=7, steps=STEPS, cfg=1, sampler_name="euler", scheduler="simple"),
        node("decode", "VAEDecode", "samples=sampler vae=vae"),
        node("save", "SaveImage", "images=decode", filename_prefix=prefix),
        wide=420,
        top=TOP,
    )


PICTURE = node("picture", "LoadImage", image="example.png")
SQUARE = node("latent", "EmptySD3LatentImage", width=1024, height=1024)

TEXT_TO_IMAGE = Example(
    "HiCache Flux dev text to image",
    "## FLUX.1 dev, faster\n\n"
    "**HiCache Patch Model** lets the network compute 11 of the 28 steps and forecasts the other 17. Move **speed**: "
    "2 stays closer to the full run, 4 is for drafts, 1 changes nothing. To compare, bypass the node (Ctrl+B) and run "
    "again: the seed is fixed. LoRAs go in front of it.",
    (
        _loaders(
            "flux1-dev.safetensors",
            "t5xxl_fp16.safetensors",
            node(
                "prompt",
                "CLIPTextEncode",
                "clip=clip",
                text="A lighthouse on a cliff at dawn, waves breaking on the rocks below, a small boat far out, soft "
                "golden light through mist, photograph on film",
            ),
        ),
        column(
            patch("hicache", "unet", SPEED),
            node("guidance", "FluxGuidance", "conditioning=prompt", guidance=3.5),
            node("negative", "ConditioningZeroOut", "conditioning=prompt"),
            SQUARE,
        ),
        _sampled("guidance", "negative", "latent", "HiCache_Flux"),
    ),
)

KONTEXT = Example(
    "HiCache Flux Kontext edit",
    "## FLUX.1 Kontext, faster\n\n"
    "Changes your picture by a sentence. **HiCache Patch Model** lets the network compute 11 of the 28 steps and "
    "forecasts the other 17, reference picture and all. Move **speed**: 2 stays closer to the full run, 4 is for "
    "drafts. To compare, bypass the node (Ctrl+B) and run again: the seed is fixed.",
    (
        _loaders(
            "flux1-dev-kontext_fp8_scaled.safetensors",
            "t5xxl_fp8_e4m3fn_scaled.safetensors",
            node(
                "prompt",
                "CLIPTextEncode",
                "clip=clip",
                text="Turn this picture into an oil painting with visible brushstrokes and warm evening light, keep "
                "the composition as it is",
            ),
        ),
        column(
            PICTURE,
            node("scaled", "FluxKontextImageScale", "image=picture"),
            node("encoded", "VAEEncode", "pixels=scaled vae=vae"),
        ),
        column(
            patch("hicache", "unet", SPEED),
            node("reference", "ReferenceLatent", "conditioning=prompt latent=encoded"),
            node("guidance", "FluxGuidance", "conditioning=reference", guidance=2.5),
            node("negative", "ConditioningZeroOut", "conditioning=prompt"),
        ),
        _sampled("guidance", "negative", "encoded", "HiCache_Kontext"),
    ),
    note_size=WIDE_NOTE,
)

UNION = "FLUX.1-dev-ControlNet-Union-Pro-2.0.safetensors"
CONTROLNET = Example(
    "HiCache Flux with ControlNet",
    "## FLUX.1 dev with a ControlNet, faster\n\n"
    "The edges of your picture lead the drawing until 80 percent of the sampling. **HiCache Patch Model** lets network "
    "and ControlNet compute 11 of the 28 steps; neither runs in the forecast ones. Move **speed**: 2 stays closer to "
    "the full run, 4 is for drafts. To compare, bypass the node (Ctrl+B) and run again: the seed is fixed.",
    (
        _loaders(
            "flux1-dev.safetensors",
            "t5xxl_fp16.safetensors",
            node("controlnet", "ControlNetLoader", control_net_name=UNION),
            node(
                "prompt",
                "CLIPTextEncode",
                "clip=clip",
                text="A paper cut-out of a dancer in front of green hills, layered coloured paper, soft studio light",
            ),
        ),
        column(PICTURE, node("edges", "Canny", "image=picture", low_threshold=0.1, high_threshold=0.3), SQUARE),
        column(
            patch("hicache", "unet", SPEED),
            node("guidance", "FluxGuidance", "conditioning=prompt", guidance=3.5),
            node("negative", "ConditioningZeroOut", "conditioning=prompt"),
            node(
                "control",
                "ControlNetApplyAdvanced",
                "positive=guidance negative=negative control_net=controlnet image=edges vae=vae",
                strength=0.7,
                end_percent=0.8,
            ),
        ),
        _sampled("control.positive", "control.negative", "latent", "HiCache_ControlNet"),
    ),
    note_size=WIDE_NOTE,
)

FLUX = (TEXT_TO_IMAGE, KONTEXT, CONTROLNET)
