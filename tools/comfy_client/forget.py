"""Makes a server drop what it has cached, for sure."""

import time

from .asking import get, post

# Ends at once and is nobody's: its client is not connected, so no page hears of it.
NOTHING = {"prompt": {"1": {"class_type": "PreviewAny", "inputs": {"source": "nothing"}}}, "client_id": "forget"}
SECONDS = 120


def forget(url: str) -> None:
    """The server's cached outputs and loaded models: the same prompt runs again, however busy the machine is.

    ``/free`` only leaves a note, which the host reads when it next wakes or after the prompt that it takes next. So one
    is queued behind the note, and has run when this returns.

    Raises:
        TimeoutError: That prompt has not ended in two minutes.
    """
    post(url, "/free", {"free_memory": True})
    queued = post(url, "/prompt", NOTHING)["prompt_id"]
    for _ in range(20 * SECONDS):
        if queued in get(url, f"/history/{queued}"):
            post(url, "/history", {"delete": [queued]})
            return
        time.sleep(0.05)
    raise TimeoutError(f"The server at {url} has not run an empty prompt in {SECONDS} seconds.")
