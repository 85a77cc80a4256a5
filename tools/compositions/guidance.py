"""Guidance nodes: what they do to the model's answers, and which ask the network again."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from .conditions import no_picture
from .workflow import Composition, Workflow, call, node

GROUP = "Guidance nodes"


def _is_unet(w: Workflow) -> bool:
    return type(w.network).__name__ == "UNetModel"


def _unet_only(w: Workflow) -> str:
    return "" if _is_unet(w) else "for U-Nets only"


def _unet_pictures(w: Workflow) -> str:
    return _unet_only(w) or ("" if len(w.shape) == 4 else "for pictures only")


def _dit_only(w: Workflow) -> str:
    return "for DiTs only" if _is_unet(w) else ""


def _row(
    name: str, module: str, lacks: Callable[[Workflow], str] = lambda w: "", title: str = "", **inputs: Any
) -> Composition:
    """A node that takes a MODEL and ``inputs``."""

    def missing(w: Workflow) -> str:
        return lacks(w) if node(module, name) else f"this ComfyUI has no {name}"

    return Composition(title or name, GROUP, lambda w: replace(w, model=call(module, name, w.model, **inputs)), missing)


def _two_skips(w: Workflow) -> Workflow:
    """Two nodes ask for the positive once more, the first of them for a part of the run."""
    first = call("nodes_slg", "SkipLayerGuidanceDiT", w.model, **{**_SLG, "double_layers": "0", "end_percent": 0.4})
    return replace(w, model=call("nodes_slg", "SkipLayerGuidanceDiT", first, **_SLG))


_LAYERS = {"double_layers": "1", "single_layers": "1"}
_SLG = {"scale": 1.5, "start_percent": 0.0, "end_percent": 1.0, **_LAYERS}

ROWS = (
    _row("SkipLayerGuidanceDiT", "nodes_slg", _dit_only, **_SLG),
    _row(
        "SkipLayerGuidanceDiT",
        "nodes_slg",
        _dit_only,
        title="SkipLayerGuidanceDiT, 20% to 60%",
        **{**_SLG, "start_percent": 0.2, "end_percent": 0.6},
    ),
    Composition("two SkipLayerGuidanceDiT, one ends mid-run", GROUP, _two_skips, _dit_only),
    _row("SkipLayerGuidanceDiTSimple", "nodes_slg", _dit_only, start_percent=0.0, end_percent=1.0, **_LAYERS),
    _row("SelfAttentionGuidance", "nodes_sag", _unet_pictures, scale=0.5, blur_sigma=2.0),
    _row("PerturbedAttentionGuidance", "nodes_pag", _unet_only, scale=3.0),
    _row("NAGuidance", "nodes_nag", nag_scale=5.0, nag_alpha=0.5, nag_tau=1.5),
    _row("APG", "nodes_apg", no_picture, eta=1.0, norm_threshold=5.0, momentum=0.3),
    _row("RescaleCFG", "nodes_model_advanced", multiplier=0.7),
    _row("CFGNorm", "nodes_cfg", strength=1.0),
    _row("CFGZeroStar", "nodes_cfg"),
    _row("TCFG", "nodes_tcfg"),
    _row("Mahiro", "nodes_mahiro"),
    _row("FreSca", "nodes_fresca", no_picture, scale_low=1.0, scale_high=1.25, freq_cutoff=2),
    _row("EpsilonScaling", "nodes_eps", title="Epsilon Scaling", scaling_factor=1.005),
    _row("TemporalScoreRescaling", "nodes_eps", tsr_k=0.95, tsr_sigma=1.0),
)
