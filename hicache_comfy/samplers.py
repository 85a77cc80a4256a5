"""What each of the host's samplers allows. The names are those of its functions."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class SamplerRule:
    """deterministic  no noise is added between steps, so the direction (x - denoised) / sigma is smooth along the path
    correctable    one evaluation a step, and measured better with the corrector (docs/corrector.md)
    obstacle       why nothing can be forecast
    asks           how often it asks at one noise level; each time has a history of its own
    caution        what to say of it with a model to whose picture noise is added
    """

    deterministic: bool = False
    correctable: bool = False
    obstacle: str = ""
    asks: int = 1
    caution: str = ""


_CORRECTABLE = SamplerRule(deterministic=True, correctable=True)
_DETERMINISTIC = SamplerRule(deterministic=True)
_ASKS_TWICE = SamplerRule(asks=2)
_CFG_PP = SamplerRule(obstacle="because CFG++ samplers amplify what a forecast gets wrong")
_FEEDS_BACK = SamplerRule(obstacle="because this sampler feeds the denoised image back whole")

_LOOKS_AHEAD = SamplerRule(
    caution="with this sampler, fewer steps without HiCache may come nearer to the full run: compare both"
)

SAMPLERS = {
    "sample_euler": _CORRECTABLE,  # DDIM too
    "sample_dpmpp_2m": _CORRECTABLE,
    "sample_deis": _CORRECTABLE,
    "sample_res_multistep": _CORRECTABLE,
    "sample_unipc": _CORRECTABLE,
    "sample_unipc_bh2": _CORRECTABLE,
    "sample_heun": SamplerRule(deterministic=True, asks=2),
    "sample_dpm_2": _DETERMINISTIC,
    "sample_lms": _CORRECTABLE,
    "sample_ipndm": _CORRECTABLE,
    "sample_ipndm_v": _CORRECTABLE,
    "sample_gradient_estimation": _CORRECTABLE,
    "sample_exp_heun_2_x0": _ASKS_TWICE,
    "sample_exp_heun_2_x0_sde": _ASKS_TWICE,
    "sample_dpm_2_ancestral": _ASKS_TWICE,
    "sample_sa_solver_pece": _ASKS_TWICE,
    "sample_dpmpp_2m_sde": _LOOKS_AHEAD,
    "sample_dpmpp_2m_sde_gpu": _LOOKS_AHEAD,
    "sample_dpmpp_2m_sde_heun": _LOOKS_AHEAD,
    "sample_dpmpp_2m_sde_heun_gpu": _LOOKS_AHEAD,
    "sample_dpmpp_3m_sde": _LOOKS_AHEAD,
    "sample_dpmpp_3m_sde_gpu": _LOOKS_AHEAD,
    "sample_lcm": _FEEDS_BACK,
    "sample_lcm_upscale": _FEEDS_BACK,
    "sample_ar_video": SamplerRule(obstacle="because this sampler fills a cache at every call of the network"),
}
UNKNOWN = SamplerRule()  # as for all that add noise: the direction would carry noise that is no longer there


def rule_of(sampler: Any) -> SamplerRule:
    name = getattr(getattr(sampler, "sampler_function", None), "__name__", "")
    return _CFG_PP if name.endswith("_cfg_pp") else SAMPLERS.get(name, UNKNOWN)
