"""HiCache Patch Model: the one node most artists need."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from comfy_api.latest import io

from ..hicache_comfy import attach, remember_model, show
from ..hicache_core import RANGES, Settings, presets, shown
from ..hicache_core.schedule import POLICIES
from .settings import SettingsType, complaint


def _by_schedule(schedule: str, chosen: Settings | None, speed: float, tolerance: float) -> Settings:
    """Every schedule takes from the widgets what it uses."""
    chosen = chosen or Settings()
    return replace(chosen, schedule=schedule, speed=speed, interval=int(speed + 0.5), tolerance=tolerance)


def _paper(chosen: Settings | None, speed: float, tolerance: float) -> Settings:
    """The paper's own choices, or basis, order, contraction, warm-up and range of HiCache Settings."""
    paper = presets.paper(interval=int(speed + 0.5))
    if chosen is None:
        return paper
    return replace(
        chosen,
        schedule=paper.schedule,
        interval=paper.interval,
        level=paper.level,
        corrector=paper.corrector,
        stabilizer=paper.stabilizer,
        explosion_limit=paper.explosion_limit,
    )


@dataclass(frozen=True)
class Mode:
    """What the widgets mean in a mode, and how the tooltip says it."""

    settings: Callable[[Settings | None, float, float], Settings]
    about: str


PAPER = Mode(
    _paper,
    "HiCache as published, for Flux, Qwen-Image, Wan, HunyuanVideo and their relatives: computes three steps, then "
    "every n-th, n = 'speed' rounded, and forecasts every attention and MLP in the others. Its authors use n = 7 for "
    "Flux and Qwen-Image. Needs memory",
)


def modes() -> dict[str, Mode]:
    """By the name that workflows save: one for every schedule, and the paper's."""
    scheduled = {policy.mode: Mode(partial(_by_schedule, name), policy.about) for name, policy in POLICIES.items()}
    return scheduled | {"paper": PAPER}


class HiCachePatchModel(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        offered = modes()
        return io.Schema(
            node_id="HiCachePatchModel",
            display_name="HiCache Patch Model",
            category="HiCache",
            description=(
                "Makes sampling faster: computes some steps with the network and forecasts the others from them. "
                "Put it between the model loader and the sampler."
            ),
            search_aliases=["speed up", "cache", "faster", "TeaCache", "TaylorSeer", "EasyCache", "forecast"],
            inputs=[
                io.Model.Input("model", tooltip="The model to speed up. It stays unchanged itself."),
                io.Combo.Input(
                    "mode",
                    options=list(offered),
                    tooltip="\n".join(f"{name}: {mode.about}." for name, mode in offered.items()),
                ),
                io.Float.Input(
                    "speed",
                    default=2.5,
                    min=RANGES["speed"][0],
                    max=RANGES["speed"][1],
                    step=0.1,
                    display_mode=io.NumberDisplay.slider,
                    tooltip=(
                        "Steps of the sampler divided by steps the network computes: at 2.5 it computes 20 of 50. "
                        "1 computes every step and changes nothing. Not used by the modes adaptive and listed steps."
                    ),
                ),
                io.Float.Input(
                    "tolerance",
                    default=Settings().tolerance,
                    min=RANGES["tolerance"][0],
                    max=RANGES["tolerance"][1],
                    step=0.001,
                    advanced=True,
                    tooltip=(
                        "Mode adaptive only: how far the forecasts between two computed steps may lead the finished "
                        "picture off, as a share of its magnitude: 0.003 is 0.3 %. Smaller is closer to the full run "
                        "and slower; 0 computes all."
                    ),
                ),
                SettingsType.Input(
                    "settings", optional=True, tooltip="Everything else, from HiCache Settings. Leave it open at first."
                ),
            ],
            outputs=[io.Model.Output(display_name="MODEL", tooltip="The sped-up model, for the sampler or guider.")],
            hidden=[io.Hidden.unique_id],
            not_idempotent=True,  # or the host would give a second node like this one the first one's output and id
        )

    @classmethod
    def validate_inputs(cls, speed: float | None, tolerance: float | None) -> bool | str:
        return complaint(speed=speed, tolerance=tolerance)

    @classmethod
    def execute(
        cls, model: Any, mode: str, speed: float, tolerance: float, settings: Settings | None = None
    ) -> io.NodeOutput:
        if settings is not None and not isinstance(settings, Settings):  # a prompt may hold anything here
            raise TypeError(f"settings is {shown(settings)}: connect HiCache Settings, or nothing.")
        node = str(cls.hidden.unique_id) if cls.hidden else ""  # a script that calls the node has none
        chosen = modes()[mode].settings(settings, speed, tolerance)
        patched = attach(model, chosen, on_event=partial(show, node, chosen.fingerprint))
        remember_model(node, model)
        return io.NodeOutput(patched)
