"""docs/models.md, made of the rows and of what the pack says about their networks. Never written by hand."""

from pathlib import Path

from .model import TinyModel
from .rows import MODELS

from hicache_comfy.architectures import OUTPUT_ONLY, architecture_of, name_of  # isort: skip

HEAD = """# Models

Made by `tests/host/test_models_page.py` from the rows of `tools/tiny_models/rows/` and
`hicache_comfy/architectures.py`.

Every model of ComfyUI {newest} that a sampler runs, in the host's own classes at tiny size with random weights. Tests
hold all of them to: the same picture, bit for bit, at speed 1; calls counted inside the network; a finite result at
speed 2 (`tests/host/test_tiny_models.py`). What forecasts do to pictures is measured on trained models, small ones so
far: [Flux](benchmarks/fidelity_flux.md) and [Qwen-Image](benchmarks/fidelity_qwen_image.md).

Level *output* works for all of them and is the default; a tick says that a level inside the network
([levels.md](levels.md)) works too. Where it does not, the run goes on at level output and the log says why. *Oldest*:
whether ComfyUI {oldest} has the model.

| model | network | oldest | output | stack, block | module | why not |
|---|---|---|---|---|---|---|
"""
NO_PATCHES = "ComfyUI has no patches for its blocks"
NO_MODULES = "no row for the modules inside its blocks"


def page(newest: str, oldest: str, oldest_host: Path) -> str:
    """Builds every model once."""
    known = (oldest_host / "comfy" / "supported_models.py").read_text("utf-8")
    rows = [_line(row, f"class {row.config}(" in known) for row in MODELS.values()]
    return HEAD.format(newest=newest, oldest=oldest) + "\n".join(rows) + "\n"


def _line(row: TinyModel, is_old: bool) -> str:
    network = row.build().model.diffusion_model
    architecture = architecture_of(network)
    levels = architecture.levels if architecture is not None else ()
    reason = NO_MODULES if levels else OUTPUT_ONLY.get(name_of(network), NO_PATCHES)
    ticks = [_tick(is_old), _tick(True), _tick("block" in levels), _tick("module" in levels)]
    cells = [row.name, f"`{type(network).__name__}`", *ticks, "" if "module" in levels else reason]
    return f"| {' | '.join(cells)} |"


def _tick(yes: bool) -> str:
    return "✓" if yes else ""
