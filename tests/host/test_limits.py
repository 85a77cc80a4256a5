"""What HiCache may cost: reads from the device, bytes, modules, leaks. Seconds are measured in benchmarks/."""

import gc
import itertools
import json
import logging
import os
import subprocess
import sys
import tracemalloc
import weakref
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from small_models.sampling import sample
from tiny_models import model as tiny
from tiny_models.rows import flux as flux_rows
from torch.overrides import TorchFunctionMode

from hicache_comfy import attach, last_report
from hicache_comfy.conditions import signature_of
from hicache_core import LEVELS, presets

ROOT = Path(__file__).parents[2]
OURS = (f"{os.sep}hicache_comfy{os.sep}", f"{os.sep}hicache_core{os.sep}")
ON_CPU = f"{os.sep}sampler_steps.py"  # before the run, of a few numbers
# Every way in which Python makes a device wait for it: these ask for a value, or for what depends on values.
READS = {
    "__bool__",
    "__float__",
    "__index__",
    "__int__",
    "allclose",
    "cpu",
    "equal",
    "item",
    "nonzero",
    "numpy",
    "tolist",
}


class Reads(TorchFunctionMode):
    """The reads that our code makes, in order; masks as indices are some, too."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name, caller = getattr(func, "__name__", ""), sys._getframe(1).f_code.co_filename
        if any(part in caller for part in OURS) and not caller.endswith(ON_CPU) and reads(name, args):
            self.names.append(name)
        return func(*args, **(kwargs or {}))

    def by_evaluation(self):
        """Each begins by reading its noise level."""
        evaluations = []
        for name in self.names[self.names.index("__float__") :]:
            evaluations += [[]] if name == "__float__" else []
            evaluations[-1].append(name)
        return evaluations


def reads(name, args):
    masked = name == "__getitem__" and isinstance(args[1], torch.Tensor) and args[1].dtype == torch.bool
    return name in READS or masked


SETTINGS = {level: replace(presets.speed(2.5), level=level) for level in LEVELS} | {
    "adaptive": presets.adaptive(0.1),
    "paper": presets.paper(3),
    "analytic": presets.analytic(3),
}


@pytest.mark.parametrize(("network", "name"), [*(("flux", name) for name in SETTINGS), ("qwen_image", "paper")])
def test_a_forecast_reads_one_noise_level_and_nothing_else(request, job, network, name):
    patched = attach(request.getfixturevalue(network), SETTINGS[name])
    with Reads() as seen:
        sample(patched, replace(job, cfg=2.0, batch=2, steps=10))
    done, each = last_report(patched).evaluations, seen.by_evaluation()
    assert len(each) == len(done) == 10
    forecast = [names for names, e in zip(each, done, strict=True) if e.action == "forecast"]
    computed = [names for names, e in zip(each, done, strict=True) if e.action != "forecast"]
    assert forecast == [["__float__"]] * len(forecast) != []
    assert all(names[1:] == ["tolist"] * (len(names) - 1) and len(names) <= 4 for names in computed)


@pytest.mark.parametrize(
    "read",
    [
        float,
        bool,
        int,
        torch.Tensor.item,
        torch.Tensor.tolist,
        torch.Tensor.cpu,
        torch.Tensor.numpy,
        torch.nonzero,
        lambda x: x[x > 0],
    ],
)
def test_every_kind_of_read_would_be_counted(monkeypatch, read):
    monkeypatch.setitem(Reads.__torch_function__.__globals__, "OURS", (os.sep,))  # everybody's, this file's too
    with Reads() as seen:
        read(torch.tensor([1.0])[0])
    assert len(seen.names) == 1


@pytest.mark.parametrize("order", [1, 2])
def test_stack_keeps_one_hidden_tensor_more_than_its_order(flux, job, order):
    patched = attach(flux, replace(presets.paper(2, order), level="stack"))
    sample(patched, job)
    tokens, width = (job.side // 2) ** 2, flux.model.diffusion_model.hidden_size
    assert last_report(patched).bytes_held == (order + 1) * tokens * width * 4


@pytest.mark.parametrize("cfg", [1.0, 4.0])
def test_output_keeps_less_than_10_mb_for_a_picture_of_1024_pixels(cfg):
    """In the cheapest network there is, so that a latent of 128 x 128 takes no time."""
    blocks = dict(flux_rows.FLUX, depth=1, depth_single_blocks=1, patch_size=8)
    row = replace(flux_rows.ROWS[0], unet=blocks, latent=(1, 16, 128, 128))
    patched = attach(row.build(), presets.speed(2.0))
    tiny.sample(patched, row, steps=8, cfg=cfg)
    report = last_report(patched)
    assert 0 < report.bytes_announced == report.bytes_held < 10_000_000


class Patcher:
    def prepare(self, timestep, model_options=None):
        pass


def test_the_signature_of_a_method_is_looked_at_once_for_all_objects_and_keeps_none_alive():
    first, second = Patcher(), Patcher()
    found = signature_of(first.prepare)
    assert list(found.parameters) == ["timestep", "model_options"]
    assert signature_of(second.prepare) is found
    assert list(signature_of(Patcher.prepare).parameters) == ["self", *found.parameters]
    gone = weakref.ref(first)
    del first
    gc.collect()
    assert gone() is None


IMPORT = """
import importlib.util, json, sys
from small_models import host
import comfy.sample, comfy_api.latest
before = set(sys.modules)
spec = importlib.util.spec_from_file_location("pack", sys.argv[1], submodule_search_locations=[sys.argv[2]])
sys.modules["pack"] = pack = importlib.util.module_from_spec(spec)
spec.loader.exec_module(pack)
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_the_pack_imports_nothing_but_itself_the_host_and_pillow():
    command = [sys.executable, "-c", IMPORT, str(ROOT / "__init__.py"), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    new = json.loads(done.stdout.splitlines()[-1])
    assert "pack.hicache_comfy.attach" in new
    host = {path.stem for path in Path(os.environ["COMFYUI_PATH"]).iterdir()}
    assert {name.partition(".")[0] for name in new} - {"pack", "PIL", *host, *sys.stdlib_module_names} == set()


def objects_alive():
    gc.collect()
    return Counter(type(thing).__name__ for thing in gc.get_objects())


def bytes_alive():
    gc.collect()
    return sum(t.nbytes for t in gc.get_objects() if issubclass(type(t), torch.Tensor))


@pytest.mark.newest
def test_a_thousand_executions_leave_nothing_behind(pack, nodes, monkeypatch, request):
    """Every tenth is sampled. Before that, what is bounded is filled: reports, runs of the timeline, models."""
    row, number = flux_rows.ROWS[0], itertools.count()
    model = row.build()
    patch_node, last = nodes["HiCachePatchModel"], pack.hicache_comfy.last_report
    monkeypatch.setattr(patch_node, "hidden", SimpleNamespace(unique_id=""), raising=False)
    logging.disable()  # pytest keeps what is logged; the host warns of models that other tests of this process keep
    request.addfinalizer(lambda: logging.disable(logging.NOTSET))

    def execute(count, every):
        for k in range(count):
            patch_node.hidden.unique_id = f"{next(number):08}"
            patched = patch_node.execute(model, "target speed", 2.0, 0.003).args[0]
            if k % every == 0:
                tiny.sample(patched, row, steps=8)
                assert last(patched).forecasts > 0

    execute(80, every=1)
    attachments, tensors, objects = len(model.attachments), bytes_alive(), objects_alive()
    tracemalloc.start()
    try:
        execute(1000, every=10)
        gc.collect()
        python, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (len(model.attachments), bytes_alive()) == (attachments, tensors)
    assert {name: count for name, count in (objects_alive() - objects).items() if count >= 50} == {}
    assert python < 1_000_000  # bytes that came in 1000 executions: what is bounded was replaced by new ones
