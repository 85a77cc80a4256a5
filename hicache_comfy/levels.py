"""Which level a run can work at."""

from typing import Any

from ._core import Settings
from .architectures import OUTPUT_ONLY, Architecture, architecture_of, name_of
from .block_level import BlockLevel
from .output_level import OutputLevel


def choose_level(settings: Settings, model: Any, options: dict[str, Any], deterministic: bool) -> tuple[Any, str]:
    """The level that the settings ask for, or level output and why.

    model: the run's ModelPatcher. options: its transformer options. deterministic: whether the sampler adds no noise.
    """
    output = OutputLevel(forecasts_denoised=not deterministic)
    if settings.level == "output":
        return output, ""
    network = model.get_model_object("diffusion_model")
    architecture = architecture_of(network)
    if architecture is None or settings.level not in architecture.levels:
        return output, _instead(f"level {settings.level} {_shortcoming(network, architecture)}")
    if "torch.compile" in options.get("wrappers", {}).get("apply_model", {}):
        return output, _instead(f"torch.compile would freeze the decisions of level {settings.level}")
    unseen = _unseen_patches(architecture, options) if settings.level == "module" else ()
    if unseen:
        return output, _instead(f"level module does not see what another pack does between the modules ({unseen[0]})")
    if settings.level == "module" and _has_compiled_blocks(model, network, architecture):
        return output, _instead("the blocks are compiled, and level module needs to see inside them")
    return BlockLevel(architecture, settings.level, fallback=output), ""


def _shortcoming(network: Any, architecture: Architecture | None) -> str:
    if architecture is not None:
        return f"does not know the modules inside the blocks of {architecture.name}"
    reason = OUTPUT_ONLY.get(name_of(network))
    name = type(network).__name__
    return f"cannot be used inside {name}, because {reason}" if reason else f"does not know the blocks of {name}"


def _instead(reason: str) -> str:
    return f"{reason}: the model's output is forecast instead"


def _unseen_patches(architecture: Architecture, options: dict[str, Any]) -> list[str]:
    patches = options.get("patches", {})
    return [name for kind in architecture.kinds if kind.modules for name in kind.modules.unseen if patches.get(name)]


def _has_compiled_blocks(model: Any, network: Any, architecture: Architecture) -> bool:
    """Whether a pack compiles single blocks, as object patches of the model."""
    names = (f"diffusion_model.{kind.attribute}.{index}" for kind, index in architecture.places(network))
    return any(hasattr(model.get_model_object(name), "_orig_mod") for name in names)
