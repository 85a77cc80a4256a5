"""Everything an artist puts around a model, as rows built from the host's real nodes, and the laws that HiCache
keeps in each of them. `python dev.py exec -- python -m compositions` writes docs/compatibility.md."""
