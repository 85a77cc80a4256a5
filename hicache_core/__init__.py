"""Forecasting of cached network outputs: settings, bases, schedules, one session per run. Pure torch, no host."""

from . import presets
from .history import OUTPUT, Series
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
    "Plan",
    "Preview",
    "RunReport",
    "Series",
    "Session",
    "Settings",
    "SettingsError",
    "Timeline",
    "look_ahead",
    "parse_steps",
    "presets",
    "shown",
]
