"""Facts that others published, and how to read them."""
