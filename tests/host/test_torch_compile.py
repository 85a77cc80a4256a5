"""torch.compile by the host's own node, before ours and after: no graph more, no graph again, the same picture."""

import shutil
from dataclasses import replace

import comfy.model_management
import comfy.samplers
import pytest
import torch
from comfy_api.torch_helpers import set_torch_compile_wrapper
from comfy_extras.nodes_torch_compile import TorchCompileModel, skip_torch_compile_dict
from tiny_models.model import sample
from tiny_models.rows import MODELS

from hicache_comfy import attach, last_report
from hicache_core import presets

FLUX = MODELS["FLUX.1 dev"]
ROW = replace(FLUX, unet={**FLUX.unet, "depth": 1, "depth_single_blocks": 1})
STEPS = 10


class Backend:
    """Compiles nothing and counts: graphs that it was asked to compile, and how often they ran."""

    def __init__(self):
        self.graphs = self.ran = 0

    def __call__(self, graph, inputs, **options):
        self.graphs += 1

        def run(*args):
            self.ran += 1
            return graph(*args)

        return run


def whole(model, backend):
    return TorchCompileModel.execute(model, backend).result[0]


def one_block(model, backend, key="diffusion_model.double_blocks.0"):
    """As packs compile block by block, with the host's helper and, as its node, no guards on the options of a run."""
    compiled = model.clone()
    options = {"guard_filter_fn": skip_torch_compile_dict}
    set_torch_compile_wrapper(compiled, backend=backend, options=options, keys=[key])
    return compiled


def one_mlp(model, backend):
    return one_block(model, backend, "diffusion_model.double_blocks.0.img_mlp")


COMPILERS = {"whole": whole, "one block": one_block}


@pytest.fixture(scope="module", autouse=True)
def _free_memory_stays():
    """The host's attention on a CPU reads the free memory, and torch compiles the number of that moment in."""

    def free(device=None, torch_free_too=False):
        return (2**33, 2**33) if torch_free_too else 2**33

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comfy.model_management, "get_free_memory", free)
        yield


@pytest.fixture(scope="module")
def model():
    return ROW.build()


@pytest.fixture(autouse=True)
def _nothing_is_compiled_yet():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.fixture(scope="module", params=COMPILERS)
def compiler(request, model):
    """(how, graphs it compiles in two runs without HiCache, graphs that run in one step)"""
    torch._dynamo.reset()
    compile_model, backend = COMPILERS[request.param], Backend()
    compiled = compile_model(model, backend)
    with torch.no_grad():
        guided(compiled)
        guided(compiled)
    return compile_model, backend.graphs, backend.ran // (2 * STEPS)


def guided(model):
    return sample(model, ROW, steps=STEPS, cfg=4.0)


def settings(level):
    return replace(presets.paper(3), level=level)


def chained(model, compile_model, backend, level, order):
    if order == "before":
        return attach(compile_model(model, backend), settings(level))
    return compile_model(attach(model, settings(level)), backend)


@pytest.mark.parametrize(("level", "order"), [("output", "before"), ("module", "before"), ("block", "after")])
def test_as_many_graphs_as_without_hicache(model, compiler, level, order):
    compile_model, graphs, each_step = compiler
    backend = Backend()
    patched = chained(model, compile_model, backend, level, order)
    output, ran = guided(patched), backend.ran
    report = last_report(patched)
    assert report.calls == 5
    assert backend.graphs == graphs > 0
    assert ran == each_step * report.calls > 0
    assert torch.equal(guided(patched), output)
    assert backend.graphs == graphs
    assert torch.equal(output, guided(attach(model, settings("output"))))
    change = f"torch.compile would freeze the decisions of level {level}: the model's output is forecast instead"
    assert report.messages == (() if level == "output" else (change,))


@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler on the CPU")
@pytest.mark.skipif(not hasattr(comfy.samplers, "_calc_cond_batch_multigpu"), reason="slow: once, on a newer host")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")  # inductor imports what torch itself deprecates
def test_inductor_on_one_mlp(model):
    counters = torch._dynamo.utils.counters["stats"]
    patched = chained(model, one_mlp, "inductor", "output", "after")
    counters.clear()
    output, graphs = guided(patched), counters["unique_graphs"]
    again, expected = guided(patched), guided(attach(model, settings("output")))
    assert last_report(patched).calls == 5
    assert counters["unique_graphs"] == graphs > 0
    assert torch.equal(again, output)
    assert float((output - expected).norm() / expected.norm()) < 1e-3  # inductor's own arithmetic
