"""Small real networks, their pictures, their training and how to sample them inside the host's own code."""
