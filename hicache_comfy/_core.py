"""The one door to hicache_core: a sibling inside the pack, a top-level package when installed as a wheel."""

if __package__ == "hicache_comfy":
    from hicache_core import (
        OUTPUT,
        Evaluation,
        Plan,
        Preview,
        RunReport,
        Series,
        Session,
        Settings,
        Timeline,
        look_ahead,
        presets,
        shown,
    )
else:
    from ..hicache_core import (
        OUTPUT,
        Evaluation,
        Plan,
        Preview,
        RunReport,
        Series,
        Session,
        Settings,
        Timeline,
        look_ahead,
        presets,
        shown,
    )

__all__ = [
    "OUTPUT",
    "Evaluation",
    "Plan",
    "Preview",
    "RunReport",
    "Series",
    "Session",
    "Settings",
    "Timeline",
    "look_ahead",
    "presets",
    "shown",
]
