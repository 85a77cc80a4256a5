"""What a run is going to do: its settings as the sampler allows them, in its noise levels."""

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, TypeVar

import comfy.samplers
from comfy.model_patcher import ModelPatcher
from comfy.model_sampling import CONST, ModelSamplingDiscreteFlow

from . import executing
from ._core import Preview, Settings, floor_of, look_ahead, shown
from .samplers import SamplerRule, rule_of

T = TypeVar("T")


def computing_all(settings: Settings) -> Settings:
    """The settings where nothing can be forecast."""
    return replace(settings, schedule="budget", speed=1.0)


def forecast_range(settings: Settings, model_sampling: Any) -> tuple[float, float]:
    """The noise levels between which forecasts are allowed."""
    start, end = settings.start_percent, settings.end_percent
    return (
        math.inf if start <= 0.0 else float(model_sampling.percent_to_sigma(start)),
        0.0 if end >= 1.0 else float(model_sampling.percent_to_sigma(end)),
    )


_MOST = 10_000  # steps, as in the host's samplers


@dataclass(frozen=True)
class Sampling:
    """What is chosen at a sampler of the host, all of it as KSampler (Advanced) has it."""

    steps: int
    sampler_name: str = "euler"
    scheduler: str = "simple"
    denoise: float = 1.0
    start_at_step: int = 0
    end_at_step: int = _MOST

    def __post_init__(self) -> None:
        """Raises ValueError. Names that the host does not know, of other packs, count as its first ones."""
        for name, low, high in (("steps", 1, _MOST), ("start_at_step", 0, _MOST), ("end_at_step", 0, _MOST)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise ValueError(f"{name} is {shown(value)}: it must be a whole number from {low} to {high}.")
        if not isinstance(self.denoise, int | float) or not 0.0 <= self.denoise <= 1.0:
            raise ValueError(f"denoise is {shown(self.denoise)}: it must be a number from 0 to 1.")
        if self.denoise > 0.0 and self.steps / self.denoise > _MOST:
            raise ValueError(f"denoise is {self.denoise}: with {self.steps} steps it must be larger.")
        for name in ("sampler_name", "scheduler"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} is {shown(getattr(self, name))}: it must be a name.")

    @property
    def rule(self) -> SamplerRule:
        known = self.sampler_name in comfy.samplers.KSampler.SAMPLERS
        return rule_of(comfy.samplers.sampler_object(self.sampler_name if known else "euler"))

    def sigmas(self, model_sampling: Any) -> list[float]:
        """The noise levels that the host's own KSampler makes of it."""
        host = comfy.samplers.KSampler(
            _Sampled(model_sampling), self.steps, "cpu", self.sampler_name, self.scheduler, self.denoise
        )
        return host.sigmas[self.start_at_step : self.end_at_step + 1].tolist()


class _UnknownModel(ModelSamplingDiscreteFlow, CONST):
    """What most models of today do."""

    def __init__(self) -> None:
        super().__init__(SimpleNamespace(sampling_settings={"shift": 3.0}))


_KEPT = 64
_ANY = ""  # workflow
_USUAL = (1, 16, 128, 128)  # a latent of 1024x1024 pixels
_model_samplings: OrderedDict[tuple[str, str], Any] = OrderedDict()
_shapes: OrderedDict[tuple[str, str], Sequence[int]] = OrderedDict()


def remember_model(node: str, model: ModelPatcher) -> None:
    """Of the model that a Patch node got, what noise levels depend on."""
    _remember(_model_samplings, node, model.get_model_object("model_sampling"))


def remember_latent(node: str, shape: Sequence[int]) -> None:
    """The shape of the latent that was sampled with the model of a Patch node: plans depend on its size."""
    _remember(_shapes, node, tuple(shape))


def _remember(what: OrderedDict[tuple[str, str], T], node: str, value: T) -> None:
    """Also for a node of that id in any workflow: the host runs a node again only where something is new to it."""
    for key in {(executing.workflow(), node), (_ANY, node)}:
        what[key] = value
        what.move_to_end(key)
    while len(what) > _KEPT:
        what.popitem(last=False)


@dataclass(frozen=True)
class _Sampled:
    """As much of a MODEL as a KSampler needs for noise levels."""

    model_sampling: Any

    def get_model_object(self, name: str) -> Any:
        return getattr(self, name)


def plan_ahead(settings: Settings, sampling: Sampling, node: str = "", workflow: str = _ANY) -> Preview:
    """The plan of a run that has not begun: that of its session, if the model went through this node last."""
    keys = ((workflow, node), (_ANY, node))
    model_sampling = next(filter(None, map(_model_samplings.get, keys)), None) or _UnknownModel()
    shape = next(filter(None, map(_shapes.get, keys)), _USUAL)
    flow, rule = isinstance(model_sampling, CONST), sampling.rule
    if rule.obstacle:
        settings = computing_all(settings)
    preview = look_ahead(
        settings,
        sampling.sigmas(model_sampling),
        *forecast_range(settings, model_sampling),
        flow=flow,
        floor=floor_of(shape, flow),
    )
    if rule.caution and not flow and not preview.message and not settings.asks_for_every_step:
        return replace(preview, message=rule.caution)
    return preview
