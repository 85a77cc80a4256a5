"""Memory that runs out in the middle of a run: the picture goes on, what HiCache keeps goes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import comfy.model_management
import torch

if TYPE_CHECKING:
    from .run import Run

# Not every backend of torch has an error of its own for this; Windows and Linux word that of the CPU differently.
WORDS = ("out of memory", "not enough memory", "can't allocate memory", "not enough gpu video memory")


# The host's own answer, where it has one: it also clears what CUDA keeps of such an error.
_host_says = getattr(comfy.model_management, "is_oom", lambda error: False)


def is_shortage(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError) or _host_says(error):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in WORDS)


@contextmanager
def spared(run: "Run") -> Iterator[None]:
    """If memory runs out inside, everything that the run keeps is dropped, every step from here on is computed, and
    the code behind goes on. Where nothing was kept in the first place the error passes, as every other error does.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_shortage(error) or not run.session.give_up():
            raise
        run.shift = None
