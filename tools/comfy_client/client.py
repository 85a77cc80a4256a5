"""A client that also opens pictures."""

import io
from typing import Any

from PIL import Image

from hicache_batch.client import Client, OnEvent, Prompt, PromptFailed, PromptRefused

__all__ = ["ComfyClient", "OnEvent", "Prompt", "PromptFailed", "PromptRefused"]


class ComfyClient(Client):
    """``async with ComfyClient(url) as client``"""

    async def images(self, entry: dict[str, Any]) -> list[Image.Image]:
        """Every picture that a history entry's output nodes gave, in order."""
        saved = [file for output in entry["outputs"].values() for file in output.get("images", [])]
        return [await self._image(file) for file in saved]

    async def _image(self, file: dict[str, str]) -> Image.Image:
        content = b"".join([chunk async for chunk in self.fetch(file)])
        picture = Image.open(io.BytesIO(content))
        picture.load()
        return picture
