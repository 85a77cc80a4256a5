"""Settings by intention."""

from .settings import Settings


def speed(ratio: float) -> Settings:
    """Settings that compute one evaluation in ``ratio``: 1.0 computes all of them, 2.5 two out of five."""
    return Settings(schedule="budget", speed=ratio)


def adaptive(tolerance: float) -> Settings:
    """Settings that compute whenever a forecast would be wrong by more than about ``tolerance``, relative RMS."""
    return Settings(schedule="adaptive", tolerance=tolerance)
