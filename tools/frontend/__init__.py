"""Drives ComfyUI's real frontend in a headless Chromium, for tests, thumbnails and the moving picture of the README."""

from .chromium import find_or_install
from .page import Frontend, opened

__all__ = ["Frontend", "find_or_install", "opened"]
