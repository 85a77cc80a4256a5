"""Saved workflows as the real frontend turns them into prompts, beside ours: ``python -m saved_graphs``."""

from .compare import differences
from .oracle import frontend_prompt
from .templates import read_all, read_one, unknown_types

__all__ = ["differences", "frontend_prompt", "read_all", "read_one", "unknown_types"]
