"""The rows of the example workflows."""

from itertools import chain
from pathlib import Path

import pytest
from examples import BUNDLED, EXAMPLES, MODELS
from examples.__main__ import main
from examples.layout import ABOVE, BELOW, BETWEEN, TALL, WIDE, Example, column, node
from examples.models import OURS, as_list, files_in

SMALL_MODELS = Path(__file__).parents[2] / "tools" / "small_models" / "models"


def test_links_are_read():
    row = node("decode", "VAEDecode", "samples=sampler vae=loader.VAE")
    assert row.links == {"samples": ("sampler", ""), "vae": ("loader", "VAE")}


def test_nodes_stand_below_each_other_and_the_last_one_reaches_the_bottom():
    first = [node("a", "VAELoader"), node("b", "KSampler")]
    boxes = list(Example("", "", (column(*first), column(node("c", "SaveImage"), wide=400, top=-100))).boxes())
    below = TALL["VAELoader"] + BELOW + ABOVE
    assert [pos for _, pos, _ in boxes] == [(0, 0), (0, below), (WIDE + BETWEEN, -100)]
    assert [size for _, _, size in boxes] == [
        (WIDE, TALL["VAELoader"]),
        (WIDE, TALL["KSampler"]),
        (400, 100 + below + TALL["KSampler"]),
    ]


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_the_frontend_would_download_it(model):
    """From a place and of a kind that it trusts."""
    assert model.url.startswith("https://huggingface.co/")
    assert model.url.endswith(".safetensors")
    assert "/resolve/main/" in model.url
    assert model.name.endswith(".safetensors")


def test_every_model_is_in_an_example():
    used = files_in(value for one in EXAMPLES for row in one.nodes for value in row.widgets.values())
    assert {*used} == {*MODELS.values(), *chain(*BUNDLED.values())}


@pytest.mark.parametrize("file", [*chain(*BUNDLED.values())], ids=lambda file: file.name)
def test_what_is_said_to_be_in_the_repository_is_there(file):
    path = f"{file.folder.removeprefix('models/')}/{file.name}"
    assert file.url == f"{OURS}/{path}"
    assert (SMALL_MODELS / path).is_file()


def test_a_renamed_file_says_so():
    names = ["ae.safetensors", "FLUX.1-dev-ControlNet-Union-Pro-2.0.safetensors", "ae.safetensors", 3]
    plain, renamed = as_list(files_in(names)).splitlines()
    assert plain == f"- **models/vae**: [ae.safetensors]({MODELS['ae.safetensors'].url})"
    assert renamed.endswith("diffusion_pytorch_model.safetensors) as *FLUX.1-dev-ControlNet-Union-Pro-2.0.safetensors*")


def test_an_unknown_title_is_refused():
    assert main(["HiCache"]).startswith("There is no example HiCache: choose of HiCache Flux dev text to image, ")
