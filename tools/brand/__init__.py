"""Icon and banner of the registry: `python dev.py exec -- python -m brand` draws them into docs/img/."""

from .pictures import banner, icon

__all__ = ["banner", "icon"]
