"""Every diffusion network of the host at a tiny size with random weights, in the host's own classes: for tests that
must hold for all of them. What they sample is no picture."""
