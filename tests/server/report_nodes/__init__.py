"""A custom node of the tests: what the server's process has imported, and from where."""

import math
import os
import sys

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


class TestExtension(ComfyExtension):
    async def get_node_list(self):
        return [HiCacheTestReport]


async def comfy_entrypoint():
    return TestExtension()
