"""The small Flux in the host's own code, and a counter inside its network."""

from contextlib import contextmanager

import pytest
from small_models import sampling


@pytest.fixture(scope="session")
def host_version():
    from comfyui_version import __version__

    return __version__


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
