"""A file of prompts through one workflow, over many GPUs and machines: ``python -m hicache_batch --help``."""
