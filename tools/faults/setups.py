"""The runs that faults strike: columns of the matrix."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any
from unittest.mock import patch

import torch
from tiny_models.model import TinyModel, randn, sample
from tiny_models.rows import MODELS
from torch import Tensor

from hicache_comfy import attach, memory  # isort: skip
from hicache_core import RunReport, Settings, presets  # isort: skip

STEPS = 6


@dataclass(frozen=True)
class Setup:
    """A model of the host, tiny, and how it is sampled. mask: whether a part of the latent is kept as it was."""

    model: str
    settings: Settings
    sampler: str = "euler"
    cfg: float = 1.0
    mask: bool = False

    @property
    def name(self) -> str:
        guidance = f", CFG {self.cfg:g}" * (self.cfg > 1.0)
        return f"{self.model}, {self.settings.level}, {self.sampler}{guidance}{', mask' * self.mask}"

    @property
    def row(self) -> TinyModel:
        return MODELS[self.model]


def _at(level: str, **changes: Any) -> Settings:
    """Every other step is forecast, with everything that HiCache can keep."""
    return Settings(schedule="interval", interval=2, level=level, **{"order": 2, **changes})


SETUPS = (
    Setup("FLUX.1 dev", _at("output")),
    Setup("FLUX.1 dev", _at("stack", basis="spectrum", cache_device="cpu"), sampler="dpmpp_2m"),
    Setup("FLUX.1 dev", presets.analytic(interval=2, warmup_steps=2)),
    Setup("Qwen-Image", replace(presets.adaptive(0.3), basis="lagrange", max_gap=2), cfg=4.0, mask=True),
    Setup("Qwen-Image", _at("module", corrector=False), cfg=4.0, sampler="res_multistep"),
    Setup("Wan 2.1 T2V", _at("block", basis="taylor"), cfg=3.0, sampler="euler_ancestral"),
    Setup("FLUX.1 dev", _at("output", basis="chebyshev"), cfg=3.0, sampler="heun"),
)


@dataclass
class Stand:
    """A setup with its model built, patched once and for all faults, and what its runs give when nothing is wrong."""

    setup: Setup
    reports: list[RunReport] = field(default_factory=list)
    listener: Callable[[object], None] | None = None

    @cached_property
    def model(self) -> Any:
        return self.setup.row.build()

    @cached_property
    def patched(self) -> Any:
        return attach(self.model, self.setup.settings, self.reports.append, self._tell)

    def _tell(self, event: object) -> None:
        if self.listener is not None:
            self.listener(event)

    @cached_property
    def plain(self) -> Tensor:
        return self.run(self.model)

    @cached_property
    def expected(self) -> Tensor:
        """Of a model that was patched for this one run."""
        return self.run(attach(self.setup.row.build(), self.setup.settings, self.reports.append))

    @cached_property
    def expected_next(self) -> Tensor:
        return self.short_run(attach(self.setup.row.build(), self.setup.settings))

    @cached_property
    def report(self) -> RunReport:
        """Of a run in which nothing is wrong."""
        self.run(self.patched)
        return self.reports[-1]

    def short_run(self, model: Any) -> Tensor:
        """Computed, forecast, computed: enough to show what an earlier run has left behind."""
        return self.run(model, steps=3)

    def run(self, model: Any, **how: Any) -> Tensor:
        latent = None
        if self.setup.mask:
            latent = randn(5, *self.setup.row.latent)
            how["noise_mask"] = torch.ones(1, 1, *self.setup.row.latent[-2:])
            how["noise_mask"][..., :2] = 0.0
        how = {"steps": STEPS, "sampler": self.setup.sampler, "cfg": self.setup.cfg, "latent": latent, **how}
        with patch.object(memory, "CPU", torch.device("cpu", 0)):  # what goes to the CPU by its number is copied
            return sample(model, self.setup.row, **how)
