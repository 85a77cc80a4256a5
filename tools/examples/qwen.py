"""Qwen-Image: from text, from a picture, and from text on two GPUs."""

from .layout import TOP, WIDE_NOTE, Column, Example, Node, column, node, patch

CLIP, VAE = "qwen_2.5_vl_7b_fp8_scaled.safetensors", "qwen_image_vae.safetensors"
SPEED = 2.5


def _loaders(unet: str, *more: Node) -> Column:
    return column(
        node("unet", "UNETLoader", unet_name=unet),
        node("clip", "CLIPLoader", clip_name=CLIP, type="qwen_image"),
        node("vae", "VAELoader", vae_name=VAE),
        *more,
    )


def _sampled(steps: int, prefix: str) -> Column:
    links = "model=hicache positive=positive negative=negative latent_image=latent"
    return column(
        node("sampler", "KSampler", links, seed=7, steps=steps, cfg=4, sampler_name="euler", scheduler="simple"),
        node("decode", "VAEDecode", "samples=sampler vae=vae"),
        node("save", "SaveImage", "images=decode", filename_prefix=prefix),
        wide=420,
        top=TOP,
    )


PROMPTS = (
    node(
        "positive",
        "CLIPTextEncode",
        "clip=clip",
        named="Prompt",
        text="A small bookshop on a rainy evening, warm light in the window, a wooden sign above the door that says "
        '"SLOW BOOKS", bicycles leaning on the wall, reflections on wet cobblestones',
    ),
    node("negative", "CLIPTextEncode", "clip=clip", named="Negative prompt", tall=90, text=""),
)
LATENT = node("latent", "EmptySD3LatentImage", width=1328, height=1328)


def _shifted(source: str = "unet") -> Node:
    return node("shift", "ModelSamplingAuraFlow", f"model={source}", shift=3.1)


TEXT_TO_IMAGE = Example(
    "HiCache Qwen-Image",
    "## Qwen-Image, faster\n\n"
    "50 steps with CFG 4, as its authors do it. **HiCache Patch Model** lets the network compute 20 of the 50 steps "
    "and forecasts the other 30, with and without the prompt. Move **speed**: 2 stays closer to the full run, 4 is "
    "for drafts, 1 changes nothing. To compare, bypass the node (Ctrl+B) and run again: the seed is fixed.",
    (
        _loaders("qwen_image_fp8_e4m3fn.safetensors", *PROMPTS),
        column(_shifted(), patch("hicache", "shift", SPEED), LATENT),
        _sampled(50, "HiCache_Qwen"),
    ),
)

ENCODE = "clip=clip vae=vae image1=scaled"
EDIT = Example(
    "HiCache Qwen-Image Edit",
    "## Qwen-Image Edit, faster\n\n"
    "Changes your picture by a sentence, in 40 steps with CFG 4. **HiCache Patch Model** lets the network compute 16 "
    "of the 40 steps and forecasts the other 24. Move **speed**: 2 stays closer to the full run, 4 is for drafts. To "
    "compare, bypass the node (Ctrl+B) and run again: the seed is fixed.",
    (
        _loaders(
            "qwen_image_edit_2511_fp8mixed.safetensors",
            node("picture", "LoadImage", image="example.png"),
        ),
        column(
            node("scaled", "FluxKontextImageScale", "image=picture"),
            node("latent", "VAEEncode", "pixels=scaled vae=vae"),
            node(
                "positive",
                "TextEncodeQwenImageEditPlus",
                ENCODE,
                named="Prompt",
                prompt="Make it a winter day with snow on the ground, keep everything else as it is",
            ),
            node("negative", "TextEncodeQwenImageEditPlus", ENCODE, named="Negative prompt", prompt=""),
        ),
        column(
            _shifted(),
            node("norm", "CFGNorm", "model=shift", strength=1),
            patch("hicache", "norm", SPEED),
        ),
        _sampled(40, "HiCache_Qwen_Edit"),
    ),
    note_size=WIDE_NOTE,
)

TWO_GPUS = Example(
    "HiCache on two GPUs",
    "## Qwen-Image on two GPUs, faster\n\n"
    "ComfyUI's **MultiGPU CFG Split** lets one GPU compute with the prompt and another without it, at the same time; "
    "it needs CFG above 1 and ComfyUI 0.24.1 or newer. **HiCache Patch Model** lets them compute 20 of the 50 steps "
    "and forecasts the other 30; no GPU runs the network in those. With one GPU the workflow runs as well. Move "
    "**speed**: 2 stays closer to the full run, 4 is for drafts.",
    (
        _loaders("qwen_image_fp8_e4m3fn.safetensors", *PROMPTS),
        column(
            _shifted(),
            node("split", "MultiGPU_WorkUnits", "model=shift", max_gpus=2),
            patch("hicache", "split", SPEED),
            LATENT,
        ),
        _sampled(50, "HiCache_two_GPUs"),
    ),
)

QWEN = (TEXT_TO_IMAGE, EDIT, TWO_GPUS)
