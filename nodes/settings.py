"""HiCache Settings: everything that the Patch node leaves out, for those who want to experiment."""

from collections.abc import Iterable
from typing import Any

from comfy_api.latest import io

from ..hicache_core import CACHE_DEVICES, LEVELS, RANGES, Settings, SettingsError, parse_steps
from ..hicache_core.basis import BASES

SettingsType = io.Custom("HICACHE_SETTINGS")


def from_widgets(steps: str = "", **values: Any) -> Settings:
    """The settings that the widgets of HiCache Settings show; raises SettingsError, TypeError for an unknown widget."""
    return Settings(steps=parse_steps(steps), **values)


def complaint(**values: Any) -> bool | str:
    """What the settings say about these values, for a node's validate_inputs; linked inputs arrive as None."""
    try:
        Settings(**{name: value for name, value in values.items() if value is not None})
    except SettingsError as error:
        return str(error)
    return True


def _number(name: str, tooltip: str, step: float = 1, advanced: bool = False) -> Any:
    """A widget with the setting's own default and range."""
    low, high = RANGES[name]
    kind = io.Int if isinstance(low, int) else io.Float
    default = getattr(Settings(), name)
    return kind.Input(name, default=default, min=low, max=high, step=step, advanced=advanced, tooltip=tooltip)


def _switch(name: str, tooltip: str) -> Any:
    """An on-off widget, folded away, with the setting's own default."""
    return io.Boolean.Input(name, default=getattr(Settings(), name), advanced=True, tooltip=tooltip)


def _choice(name: str, options: Iterable[str], tooltip: str, advanced: bool = False) -> Any:
    """A list to choose from, with the setting's own default."""
    default = getattr(Settings(), name)
    return io.Combo.Input(name, options=list(options), default=default, advanced=advanced, tooltip=tooltip)


def _inputs() -> list[Any]:
    """In the order of the widgets: their values are saved by position."""
    return [
        _choice(
            "basis",
            BASES,
            "How a skipped step follows from computed ones.\n"
            + "\n".join(f"{name}: {basis.about}." for name, basis in BASES.items()),
        ),
        _number(
            "order",
            "How bent the trend is that forecasts follow: 0 repeats the last computed step, 1 is a straight line, 2 a "
            "curve. Higher is less stable. The paper uses 2 for FLUX.1 dev and 3 for Qwen-Image.",
        ),
        _number(
            "contraction",
            "Damping of hermite and dual_taylor, without unit: smaller trusts the trend less. The paper uses "
            "0.5 for FLUX.1 dev and Qwen-Image, 0.3 for schnell. 0.71 with order 1 is a straight line.",
            step=0.01,
        ),
        _number(
            "warmup_steps", "Steps computed before the first forecast. They count among those that 'speed' pays for."
        ),
        _number(
            "start_percent",
            "Share of the sampling, from 0 to 1, before which every step is computed. These steps count among those "
            "that 'speed' pays for.",
            step=0.01,
        ),
        _number(
            "end_percent",
            "Share of the sampling, from 0 to 1, after which every step is computed. These steps count among those "
            "that 'speed' pays for.",
            step=0.01,
        ),
    ]


def _advanced_inputs() -> list[Any]:
    """Folded away; they follow the others, and new ones go to the end."""
    return [
        _number("max_gap", "Mode adaptive: most steps from one computed step to the next.", advanced=True),
        _number(
            "explosion_limit",
            "Safety net: a forecast that could be this many times larger than the last computed step is "
            "refused and the step computed.",
            step=1.0,
            advanced=True,
        ),
        _switch(
            "corrector",
            "At each computed step, undo the drift that the forecasts before it left in the picture. "
            "Costs no network call. Samplers that add noise, heun and dpm_2 run without.",
        ),
        _choice(
            "level",
            LEVELS,
            "What is forecast on a skipped step.\n"
            "output: what the network returns; it does not run at all. stack: what all its blocks together "
            "add. block: what every block adds. module: every attention and MLP, as in the paper. "
            "The last three need a network that offers them (Flux, Qwen-Image, Wan, HunyuanVideo and more; others go "
            "on at output) and hold more memory.",
            advanced=True,
        ),
        _switch(
            "stabilizer",
            "Follow a trend only as far as the last one came true. Keeps strong guidance (CFG) from oscillating, and "
            "the corrector from feeding it. Costs no network call. With samplers that add noise, forecasts "
            "follow no trend at all.",
        ),
        _step_list(),
        _choice(
            "cache_device",
            CACHE_DEVICES,
            "Where computed steps are kept.\n"
            "auto: on the GPU if there is room for them, else on the CPU. gpu: where the model runs. cpu: in main "
            "memory; they come back one at a time, which makes skipped steps slower.",
            advanced=True,
        ),
        _number(
            "signal_floor",
            "Modes target speed and adaptive: small values compute more of the early steps, where structure is "
            "decided, large ones more of the late steps, where detail appears. 0 chooses by the size of the latent.",
            step=0.0001,
            advanced=True,
        ),
    ]


def _step_list() -> Any:
    about = "For the mode 'listed steps': the numbers of the steps to compute, the first one is 0, such as 0, 4, 8-10."
    return io.String.Input("steps", default="", advanced=True, tooltip=about)


class HiCacheSettings(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiCacheSettings",
            display_name="HiCache Settings",
            category="HiCache",
            description="Fine control of HiCache Patch Model: how a skipped step is forecast, and where.",
            search_aliases=["hermite", "TaylorSeer", "cache settings", "forecast settings"],
            inputs=[*_inputs(), *_advanced_inputs()],
            outputs=[SettingsType.Output(display_name="SETTINGS", tooltip="For HiCache Patch Model.")],
        )

    @classmethod
    def validate_inputs(cls, start_percent: float | None, end_percent: float | None) -> bool | str:
        """Only what the host cannot check: it shows the answer at every input named here."""
        return complaint(start_percent=start_percent, end_percent=end_percent)

    @classmethod
    def execute(cls, **widgets: Any) -> io.NodeOutput:
        return io.NodeOutput(from_widgets(**widgets))
