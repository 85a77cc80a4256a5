"""Custom nodes of the tests: what the server's process has imported and holds, and a loader of the small Qwen-Image."""

import gc
import hashlib
import math
import os
import sys
import threading
from pathlib import Path

import torch
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


class HiCacheTestMemory(io.ComfyNode):
    """What is alive: bytes of tensors, threads, and how much the pack's own structures hold."""

    STRUCTURES = (("browser", "_runs"), ("plan", "_model_samplings"), ("reports", "_reports"))

    @classmethod
    def define_schema(cls):
        after = io.AnyType.Input("after", optional=True)
        return io.Schema(node_id="HiCacheTestMemory", category="HiCache/tests", inputs=[after], is_output_node=True)

    @classmethod
    def fingerprint_inputs(cls, **_):
        return math.nan

    @classmethod
    def execute(cls, after=None):
        gc.collect()
        tensors = [o for o in gc.get_objects() if issubclass(type(o), torch.Tensor)]
        storages = {
            t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors if t.layout == torch.strided
        }
        held = [len(getattr(cls.module(f"hicache_comfy.{module}"), name)) for module, name in cls.STRUCTURES]
        waiting = cls.module("hicache.nodes.routes")._planner.waiting
        threads = [thread.name for thread in threading.enumerate()]
        return io.NodeOutput(
            ui={"bytes": [sum(storages.values())], "held": held, "waiting": [waiting], "threads": threads}
        )

    @classmethod
    def module(cls, name):
        return next(module for found, module in list(sys.modules.items()) if found.endswith(name))


class HiCacheTestDigest(io.ComfyNode):
    """What a sampler gave, bit for bit, in a few letters: one word for every picture."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="HiCacheTestDigest",
            category="HiCache/tests",
            inputs=[io.Latent.Input("latent")],
            outputs=[io.Int.Output()],
            is_output_node=True,
            is_input_list=True,
        )

    @classmethod
    def fingerprint_inputs(cls, **_):
        return math.nan

    @classmethod
    def execute(cls, latent):
        words = [hashlib.sha256(one["samples"].contiguous().numpy().tobytes()).hexdigest() for one in latent]
        return io.NodeOutput(len(words), ui={"digest": words})


class HiCacheTestFirst(io.ComfyNode):
    """The first of several conditionings: one picture is enough."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="HiCacheTestFirst",
            category="HiCache/tests",
            inputs=[io.Conditioning.Input("several")],
            outputs=[io.Conditioning.Output()],
            is_input_list=True,
        )

    @classmethod
    def execute(cls, several):
        return io.NodeOutput(several[0])


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
        return [HiCacheTestReport, HiCacheTestMemory, HiCacheTestDigest, HiCacheTestFirst, HiCacheTestQwenImageLoader]


async def comfy_entrypoint():
    return TestExtension()
