"""What a patched MODEL carries: settings and an identity, never state."""

import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from comfy.model_patcher import ModelPatcher

from ._core import RunReport, Settings
from .events import Event

KEY = "hicache"  # of the wrappers, the attachment and the run's session in transformer_options


@dataclass(frozen=True)
class Patch:
    """One ``attach``; clones of the patched MODEL share it.

    replaced  what to say in the report about the patch that was on the model before
    """

    settings: Settings
    on_report: Callable[[RunReport], None] | None = None
    on_event: Callable[[Event], None] | None = None
    replaced: str = ""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)


def lacks_patch(model: object) -> bool:
    """Whether it is a MODEL without HiCache, as while HiCache Patch Model is bypassed for a comparison."""
    return isinstance(model, ModelPatcher) and model.get_attachment(KEY) is None


def about_replaced(earlier: object) -> str:
    """The message about what an earlier ``attach`` left on the model, of this copy of the pack or of another one."""
    if earlier is None:
        return ""
    if isinstance(earlier, Patch):
        return "two HiCache patches follow each other: the one nearest to the sampler counts; remove the other"
    return (
        f"HiCache is installed twice, in the folders {_folder(type(earlier))} and {_folder(Patch)}: "
        "the patch nearest to the sampler counts; remove one of the folders"
    )


def _folder(of: type) -> str:
    """The name of the pack's folder; of a class of somebody else's, its module."""
    file = getattr(sys.modules.get(of.__module__), "__file__", None)
    return Path(file).parents[1].name if file else of.__module__
