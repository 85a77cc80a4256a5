"""Every composition, in the order of docs/compatibility.md."""

from . import conditions, control, guidance, guiders, sampling, weights, windows

MODULES = (guiders, conditions, guidance, sampling, weights, control, windows)
COMPOSITIONS = tuple(row for module in MODULES for row in module.ROWS)
