"""A small real Flux, its pictures, its training and how to sample it inside the host's own code."""
