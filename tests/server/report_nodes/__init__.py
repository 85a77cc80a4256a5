"""Custom nodes of the tests: what the server's process has imported, and a loader for the small Qwen-Image."""

import math
import os
import sys
from pathlib import Path

from comfy_api.latest import ComfyExtension, io

import nodes


class HiCacheTestReport(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="HiCacheTestReport", category="HiCache/tests", is_output_node=True)

    @classmethod
    def fingerprint_inputs(cls, **_):
        return math.nan  # never cached

    @classmethod
    def execute(cls):
        modules = [module for name, module in list(sys.modules.items()) if name.endswith("hicache_core.settings")]
        settings = {module.Settings for module in modules}
        path = [os.path.realpath(entry) for entry in sys.path]
        return io.NodeOutput(ui={"nodes": [nodes.__file__], "path": path, "settings": [str(kind) for kind in settings]})


class HiCacheTestQwenImageLoader(io.ComfyNode):
    """The host's loader finds no Qwen-Image of this size in a checkpoint."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="HiCacheTestQwenImageLoader",
            category="HiCache/tests",
            inputs=[io.Combo.Input("split", options=["train", "test"])],
            outputs=[io.Model.Output()],
        )

    @classmethod
    def execute(cls, split):
        tools = str(Path(os.environ["HICACHE_REPO"], "tools"))
        if tools not in sys.path:
            sys.path.append(tools)
        from small_models.sampling import load_qwen_image

        return io.NodeOutput(load_qwen_image(split))


class TestExtension(ComfyExtension):
    async def get_node_list(self):
        return [HiCacheTestReport, HiCacheTestQwenImageLoader]


async def comfy_entrypoint():
    return TestExtension()
