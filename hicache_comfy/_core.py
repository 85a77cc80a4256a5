"""The one door to hicache_core: a sibling inside the pack, a top-level package when installed as a wheel."""

if __package__ == "hicache_comfy":
    from hicache_core import OUTPUT, RunReport, Series, Session, Settings, presets
else:
    from ..hicache_core import OUTPUT, RunReport, Series, Session, Settings, presets

__all__ = ["OUTPUT", "RunReport", "Series", "Session", "Settings", "presets"]
