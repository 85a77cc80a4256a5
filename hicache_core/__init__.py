"""Forecasting of cached network outputs: settings, bases, schedules, one session per run. Pure torch, no host."""

from . import presets
from .history import OUTPUT, Series
from .report import Evaluation, RunReport
from .session import Session
from .settings import CACHE_DEVICES, LEVELS, RANGES, Settings, SettingsError, parse_steps

__all__ = [
    "CACHE_DEVICES",
    "LEVELS",
    "OUTPUT",
    "RANGES",
    "Evaluation",
    "RunReport",
    "Series",
    "Session",
    "Settings",
    "SettingsError",
    "parse_steps",
    "presets",
]
