"""What an artist sees: one file per node."""

from comfy_api.latest import ComfyExtension, io

from .compare import HiCacheCompare
from .patch_model import HiCachePatchModel
from .report import HiCacheReport
from .settings import HiCacheSettings


class HiCacheExtension(ComfyExtension):
    async def on_load(self) -> None:
        """Only here: a script that imports the nodes has no server."""
        from server import PromptServer

        from .routes import register

        register(PromptServer.instance.routes)

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [HiCachePatchModel, HiCacheSettings, HiCacheReport, HiCacheCompare]


async def comfy_entrypoint() -> HiCacheExtension:
    return HiCacheExtension()
