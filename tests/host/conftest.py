"""The small Flux in the host's own code, and a counter inside its network."""

import asyncio
import gc
import importlib.util
import sys
import weakref
from contextlib import contextmanager
from pathlib import Path

import pytest
from small_models import sampling

import comfyui_version  # isort: skip
import utils.json_util  # noqa: F401  isort: skip  before the host's nodes.py puts another utils in front of it


NEWEST = "0.30.0"


def pytest_collection_modifyitems(items):
    for item in items if comfyui_version.__version__ != NEWEST else ():
        if item.get_closest_marker("newest"):
            item.add_marker(pytest.mark.skip(reason=f"long: only on ComfyUI {NEWEST}"))


@pytest.fixture(scope="module", autouse=True)
def _garbage_of_this_file_only():
    """The host collects garbage between runs and so do many tests: not again through all that earlier files left."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def host_version():
    return comfyui_version.__version__


@pytest.fixture(scope="module")
def pack():
    """The pack as the host imports it: a package of its own with everything inside, ``pack.nodes`` and so on."""
    name, root = "hicache_pack", Path(__file__).parents[2]
    spec = importlib.util.spec_from_file_location(name, root / "__init__.py", submodule_search_locations=[str(root)])
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    importlib.import_module(f"{name}.nodes.routes")  # as its on_load does
    yield module
    for one in [one for one in sys.modules if one == name or one.startswith(f"{name}.")]:
        del sys.modules[one]


@pytest.fixture(scope="module")
def nodes(pack):
    """The node classes by id, as the host gets them."""

    async def offered():
        return await (await pack.comfy_entrypoint()).get_node_list()

    return {node.GET_SCHEMA().node_id: node for node in asyncio.run(offered())}


@pytest.fixture(scope="session")
def flux():
    return sampling.load_flux("train")


@pytest.fixture(scope="session")
def qwen_image():
    return sampling.load_qwen_image("train")


@pytest.fixture
def job():
    (only,) = sampling.jobs("train", 1, steps=16)
    return only


@pytest.fixture(params=["flux", "qwen_image"])
def model(request):
    """Both networks that block levels know."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def network_calls(flux):
    """Counts the calls that reach the first block of the network; ``fail_at`` raises at that call."""
    return CallCounter(sampling.first_block(flux.model.diffusion_model))


@pytest.fixture
def block_calls(model):
    return CallCounter(sampling.first_block(model.model.diffusion_model))


@pytest.fixture
def watch():
    """(model) -> what watches what its runs keep."""
    return Watch


class CallCounter:
    def __init__(self, module):
        self._module = module
        self.fail_at = None
        self.count = 0

    def _count(self, *_):
        self.count += 1
        if self.count == self.fail_at:
            raise RuntimeError("the network failed")

    @contextmanager
    def during(self, fail_at=None):
        self.count, self.fail_at = 0, fail_at
        handle = self._module.register_forward_pre_hook(self._count)
        try:
            yield self
        finally:
            handle.remove()


class Watch:
    """Weak references to the session and every anchor it ever held, taken while the run goes on."""

    def __init__(self, model):
        self.references = {}
        model.add_wrapper_with_key("calc_cond_batch", "watch", self._look)

    def _look(self, executor, *args, **kwargs):
        run = args[4]["transformer_options"].get("hicache")
        if run is None:
            return executor(*args, **kwargs)
        session = run.session
        anchors = [t for h in session._histories.values() for a in h.anchors for t in a.tensors.values()]
        guided = session._directions.tensors
        references = map(weakref.ref, (session, *anchors, *guided))
        self.references |= {id(reference): reference for reference in references}
        del run, session, anchors, guided, references  # an error keeps this frame alive
        return executor(*args, **kwargs)

    def alive(self):
        gc.collect()
        return [r() for r in self.references.values() if r() is not None]
