"""What a patched MODEL carries: settings and an identity, never state."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from ._core import RunReport, Settings

KEY = "hicache"  # of the wrappers, the attachment and the run's session in transformer_options


@dataclass(frozen=True)
class Patch:
    """One ``attach``; clones of the patched MODEL share it."""

    settings: Settings
    on_report: Callable[[RunReport], None] | None = None
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
