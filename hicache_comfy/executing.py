"""What the host is executing right now."""

import sys
from typing import Any

from comfy_execution.utils import get_executing_context


def host() -> Any:
    """The host's server; None in a script that only samples."""
    return getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)


def node_and_prompt() -> tuple[str, str]:
    """The execution id of the node and the id of the prompt; empty where nothing is executed."""
    context = get_executing_context()
    return (context.node_id, context.prompt_id) if context else ("", "")


def workflow() -> str:
    """The id of the workflow that the running prompt was queued from, as the frontend saves it; empty without one."""
    server, (_, prompt) = host(), node_and_prompt()
    running = server.prompt_queue.get_current_queue_volatile()[0] if server and prompt else []
    extra = next((item[3] for item in running if item[1] == prompt), {})
    return str(((extra.get("extra_pnginfo") or {}).get("workflow") or {}).get("id", ""))
