"""Where the ComfyUIs come from: the one thing in which running servers and a cluster differ."""

from collections.abc import Sequence
from types import TracebackType
from typing import Protocol


class Engine(Protocol):
    """``async with engine`` raises Refusal for what can never work, and leaves nothing running behind.

    names: of the workers, the same through restarts. starts: whether ``bring_up`` starts a ComfyUI of its own.
    """

    names: Sequence[str]
    starts: bool

    async def __aenter__(self) -> "Engine": ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def bring_up(self, name: str) -> str:
        """The URL of a ComfyUI that answers; after a loss, of the one in its place. Raises WorkerLost."""
        ...

    def where(self, name: str) -> str:
        """The worker with its place, for messages."""
        ...
