"""Every composition, in the order of docs/compatibility.md."""

from . import conditions, guidance, guiders, sampling

COMPOSITIONS = (*guiders.ROWS, *conditions.ROWS, *guidance.ROWS, *sampling.ROWS)
