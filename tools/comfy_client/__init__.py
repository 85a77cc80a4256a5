"""A real ComfyUI from the outside: start a server, talk to it, and turn saved workflows into prompts."""

from hicache_batch.saved import WorkflowError, to_prompt

from .asking import get, post
from .client import ComfyClient, PromptFailed, PromptRefused
from .forget import forget
from .server import Server, ServerError, running_server

__all__ = [
    "ComfyClient",
    "PromptFailed",
    "PromptRefused",
    "Server",
    "ServerError",
    "WorkflowError",
    "forget",
    "get",
    "post",
    "running_server",
    "to_prompt",
]
