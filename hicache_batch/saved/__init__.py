"""Workflows as ComfyUI's frontend saves them, turned into prompts as it does it."""

from .errors import WorkflowError
from .prompt import Prompt, to_prompt

__all__ = ["Prompt", "WorkflowError", "to_prompt"]
