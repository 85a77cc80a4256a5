"""Forecasting of cached network outputs: settings, bases, schedules, one session per run. Pure torch, no host."""

from . import presets
from .density import floor_of
from .guidance import Guidance, guidance_weights
from .history import OUTPUT, Series
from .linear_sampler import LinearSampler, euler, linear_sampler
from .preview import Preview, look_ahead
from .report import Evaluation, RunReport
from .schedule import Plan
from .session import Session
from .settings import CACHE_DEVICES, LEVELS, RANGES, Settings, SettingsError, parse_steps, shown
from .timeline import Timeline

__all__ = [
    "CACHE_DEVICES",
    "LEVELS",
    "OUTPUT",
    "RANGES",
    "Evaluation",
    "Guidance",
    "LinearSampler",
    "Plan",
    "Preview",
    "RunReport",
    "Series",
    "Session",
    "Settings",
    "SettingsError",
    "Timeline",
    "euler",
    "floor_of",
    "guidance_weights",
    "linear_sampler",
    "look_ahead",
    "parse_steps",
    "presets",
    "shown",
]
