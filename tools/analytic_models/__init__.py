"""Models without weights: the exact answer for random pictures whose statistics are known, as MODELs of the host."""
