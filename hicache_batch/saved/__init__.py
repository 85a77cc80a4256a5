"""Workflows as ComfyUI's frontend saves them, turned into prompts as it does it.

Held to the real frontend by ``tests/browser/test_prompts.py``, and by ``tools/saved_graphs`` for every workflow that
comes with the host. On purpose different: a node's own name is the server's, which the frontend may translate; a
template in a text always makes the same choice; a date in the name of a file is 2000-01-01; values that a node of
another pack saved by name are read by name; what only the browser can record is refused.
"""

from .errors import WorkflowError
from .prompt import Prompt, to_prompt

__all__ = ["Prompt", "WorkflowError", "to_prompt"]
