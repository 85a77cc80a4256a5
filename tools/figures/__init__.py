"""The figures of docs/: `python dev.py exec -- python -m figures` draws them into docs/img/."""
