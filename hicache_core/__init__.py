"""Forecasting of cached network outputs: settings, bases, schedules, one session per run. Pure torch, no host."""

from . import presets
from .report import Evaluation, RunReport
from .session import Session
from .settings import RANGES, Settings, SettingsError

__all__ = ["RANGES", "Evaluation", "RunReport", "Session", "Settings", "SettingsError", "presets"]
