"""A ComfyUI on which every row fails, in a batch whose engine can start another."""

import asyncio

import pytest
from batch_example import WORKFLOW, prepare
from comfy_client import running_server

from hicache_batch.bindings import Wanted
from hicache_batch.manifest import Manifest
from hicache_batch.progress import Progress
from hicache_batch.rows import Row
from hicache_batch.run import Batch, run_batch
from hicache_batch.workflow import read_workflow

from .conftest import TEXTS

pytestmark = pytest.mark.server

WRONG = "hexagon blue red flat"  # words of both splits


class Started:
    """An engine of one worker whose ComfyUIs are these, one after the other; the last one stays."""

    names = ("worker-0",)

    def __init__(self, *urls, starts=True):
        self._urls, self.starts, self.asked = urls, starts, 0

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        pass

    async def bring_up(self, name):
        self.asked += 1
        return self._urls[min(self.asked, len(self._urls)) - 1]

    def where(self, name):
        return name


def errors_of(engine, folder, texts):
    rows = [Row(index, {"prompt": text}) for index, text in enumerate(texts)]
    batch = Batch(read_workflow(WORKFLOW), rows, Wanted(), folder)
    asyncio.run(run_batch(batch, engine, Progress(len(rows), folder)))
    return [record.error for _, record in sorted(Manifest(folder).records.items())]


@pytest.fixture(scope="module")
def broken(checkout):
    """A ComfyUI on which every row fails, as after an error of CUDA."""

    def spoil(base):
        prepare(base)
        with (base / "custom_nodes" / "small_flux_text" / "__init__.py").open("a") as node:
            node.write("\n\ndef encode_captions(captions):\n    raise RuntimeError('illegal memory access')\n")

    with running_server(checkout, prepare=spoil) as one:
        yield one


def test_a_comfyui_on_which_every_row_fails_is_replaced(broken, server, tmp_path):
    engine = Started(broken.url, server.url)
    assert errors_of(engine, tmp_path, TEXTS[:5]) == [None] * 5
    assert engine.asked == 2


def test_rows_that_fail_on_every_comfyui_replace_one_once(server, tmp_path):
    engine = Started(server.url)
    assert None not in errors_of(engine, tmp_path, [WRONG] * 5)
    assert engine.asked == 2


def test_a_server_that_nobody_starts_is_not_replaced(broken, tmp_path):
    engine = Started(broken.url, starts=False)
    assert None not in errors_of(engine, tmp_path, TEXTS[:4])
    assert engine.asked == 1
