"""The one door to hicache_core: a sibling inside the pack, a top-level package when installed as a wheel."""

if __package__ == "hicache_comfy":
    from hicache_core import RunReport, Session, Settings, presets
else:
    from ..hicache_core import RunReport, Session, Settings, presets

__all__ = ["RunReport", "Session", "Settings", "presets"]
