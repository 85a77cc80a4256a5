"""What runs on any machine: the small Flux of this repository."""

from .layout import ABOVE, BELOW, BETWEEN, NOTE, TALL, TOP, WIDE, Column, Example, Node, column, node, patch

STEPS, SPEED = 50, 2.5
FILES = (
    "**Files**: put these into the folders of ComfyUI that are named here and restart it, or let *python dev.py serve* "
    "in the HiCache repository do so. An older ComfyUI wants *output* instead of *datasets*. The VAE is made for these "
    "pictures and takes the name of TAEF1, which previews of Flux use: if you have that, put it back afterwards."
)


def _loaders() -> Column:
    return column(
        node("unet", "UNETLoader", unet_name="small_flux_test.safetensors"),
        node("data", "LoadTrainingDataset", folder_name="small_flux_test"),
        node("latent", "EmptySD3LatentImage", width=128, height=128),
        node("vae", "VAELoader", vae_name="taef1"),
    )


def _sampler(key: str, model: str, named: str = "") -> Node:
    links = f"model={model} positive=data.conditioning negative=data.conditioning latent_image=latent"
    chosen = {"seed": 7, "steps": STEPS, "cfg": 1, "sampler_name": "euler", "scheduler": "simple"}
    return node(key, "KSampler", links, named=named, **chosen)


def _pictures(of: str) -> tuple[Node, Node]:
    """All six in one batch, so that what follows runs once."""
    return (
        node(f"batch_{of}", "RebatchLatents", f"latents=sampler_{of}", batch_size=64),
        node(f"decode_{of}", "VAEDecode", f"samples=batch_{of} vae=vae"),
    )


PICTURES = Example(
    "HiCache on the small bundled Flux",
    "## HiCache on a small Flux\n\n"
    "Six pictures from a Flux so small that any CPU samples it. **HiCache Patch Model** lets the network compute 20 of "
    "the 50 steps and forecasts the other 30: bypass it (Ctrl+B), run again, and compare the time and the "
    f"pictures.\n\n{FILES}",
    (
        _loaders(),
        column(patch("hicache", "unet", SPEED), _sampler("sampler", "hicache")),
        column(
            node("decode", "VAEDecode", "samples=sampler vae=vae"),
            node("save", "SaveImage", "images=decode", filename_prefix="HiCache"),
            wide=500,
        ),
    ),
    note_size=(2 * WIDE + 2 * BETWEEN + 500, 200),
    run=True,
)

COMPARISON = Example(
    "HiCache A-B comparison",
    "## With and without HiCache\n\n"
    "The same seed twice: above with all 50 steps, below with 20 of the 50 steps computed and the other 30 forecast. "
    "**HiCache Compare** shows both and their difference, amplified, and measures it: PSNR 40 dB and more is hard to "
    "see. **HiCache Report** shows which steps were computed, and what that saved. Move **speed** and run again. With "
    "**HiCache Patch Model** bypassed (Ctrl+B) the pictures are equal, bit for bit, and the report says that HiCache "
    "is not active.\n\n"
    f"{FILES}",
    (
        _loaders(),
        column(patch("hicache", "unet", SPEED), top=TALL["KSampler"] + ABOVE + BELOW),
        column(
            _sampler("sampler_without", "unet", "Without HiCache"),
            _sampler("sampler_with", "hicache", "With HiCache"),
        ),
        column(*_pictures("without"), *_pictures("with"), wide=200),
        column(
            node("compare", "HiCacheCompare", "first=decode_without second=decode_with", amplify=8),
            node("text", "PreviewAny", "source=compare.TEXT", named="How far apart", tall=150),
            node("report", "HiCacheReport", "model=hicache samples=batch_with"),
            wide=520,
            top=TOP,
        ),
    ),
    note_size=(3 * WIDE + 3 * BETWEEN + 200, NOTE[1]),
    run=True,
)

SMALL = (PICTURES, COMPARISON)
