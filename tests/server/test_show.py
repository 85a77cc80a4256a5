"""HiCache Report and HiCache Compare through a real server."""

import json

import numpy as np
import pytest
from comfy_client import PromptFailed, PromptRefused
from demo.variants import node_id

pytestmark = pytest.mark.server


@pytest.fixture
def reported(example_prompt):
    """The example with a report behind its sampler: ``reported(KSampler={"steps": 8})``."""

    def prompt_with(**changes):
        prompt = example_prompt(**changes)
        model, samples = ([node_id(prompt, name), 0] for name in ("HiCachePatchModel", "KSampler"))
        prompt["report"] = {"class_type": "HiCacheReport", "inputs": {"model": model, "samples": samples, "scale": 1}}
        for slot, name in ((1, "summary"), (2, "json")):
            prompt[name] = {"class_type": "PreviewAny", "inputs": {"source": ["report", slot]}}
        return prompt

    return prompt_with


def test_the_report_shows_the_run_as_picture_text_and_json(host, reported):
    host.forget()
    result = host.run(reported(KSampler={"steps": 12}))
    (summary,), (data,) = ({*result.outputs[name]["text"]} for name in ("summary", "json"))
    assert summary.startswith("5 of 12 evaluations computed (2.40x fewer calls")
    assert [e["action"] == "computed" for e in json.loads(data)["evaluations"]].count(True) == 5
    shown = result.outputs["report"]["images"]
    assert len(shown) == 6
    assert all(file["type"] == "temp" for file in shown)


def test_a_report_without_hicache_says_so(host, reported):
    """As with HiCache Patch Model bypassed: the rest of the workflow goes on."""
    prompt = reported(KSampler={"steps": 4})
    patch = prompt.pop(node_id(prompt, "HiCachePatchModel"))
    for node in (prompt["report"], prompt[node_id(prompt, "KSampler")]):
        node["inputs"]["model"] = patch["inputs"]["model"]
    result = host.run(prompt)
    (summary,), (data,) = ({*result.outputs[name]["text"]} for name in ("summary", "json"))
    assert summary.startswith("HiCache is not active: HiCache Patch Model is bypassed, or ")
    assert json.loads(data)["messages"] == [summary]
    assert json.loads(data)["evaluations"] == []
    assert {file["type"] for file in result.outputs["report"]["images"]} == {"temp"}


def test_a_report_of_a_model_that_has_not_run_says_what_to_connect(host, reported):
    prompt = reported(KSampler={"steps": 4})
    used = prompt[node_id(prompt, "HiCachePatchModel")]
    prompt["other"] = {**used, "inputs": {**used["inputs"], "speed": 3.3}}
    prompt["report"]["inputs"]["model"] = ["other", 0]
    with pytest.raises(PromptFailed, match="HiCache Report found no run of this MODEL: connect the MODEL output"):
        host.run(prompt)


def test_two_samplers_on_one_model_have_a_report_each(host, reported):
    host.forget()
    prompt = reported(KSampler={"steps": 12})
    sampler = node_id(prompt, "KSampler")
    prompt["second"] = {"class_type": "KSampler", "inputs": {**prompt[sampler]["inputs"], "steps": 20}}
    prompt["second"]["inputs"]["latent_image"] = [sampler, 0]  # after the first
    prompt["other"] = {
        "class_type": "HiCacheReport",
        "inputs": {**prompt["report"]["inputs"], "samples": ["second", 0]},
    }
    prompt["text"] = {"class_type": "PreviewAny", "inputs": {"source": ["other", 1]}}
    result = host.run(prompt)
    assert result.outputs["text"]["text"][0].startswith("8 of 20")
    assert result.outputs["summary"]["text"][0].startswith("5 of 12")


def solid(width, height, colour):
    return {
        "class_type": "EmptyImage",
        "inputs": {"width": width, "height": height, "batch_size": 1, "color": colour},
    }


def comparison(first, second):
    return {
        "a": first,
        "b": second,
        "compare": {"class_type": "HiCacheCompare", "inputs": {"first": ["a", 0], "second": ["b", 0], "amplify": 8.0}},
        "text": {"class_type": "PreviewAny", "inputs": {"source": ["compare", 2]}},
        "difference": {"class_type": "PreviewImage", "inputs": {"images": ["compare", 1]}},
    }


def test_equal_pictures(host):
    result = host.run(comparison(solid(64, 32, 0x808080), solid(64, 32, 0x808080)))
    assert result.outputs["text"]["text"] == ["equal, bit for bit"]


def test_a_difference_is_measured_and_amplified(host):
    result = host.run(comparison(solid(64, 32, 0x808080), solid(64, 32, 0x8A8080)))
    assert result.outputs["text"]["text"][0].startswith("PSNR 32.9 dB, SSIM ")
    (amplified,) = (image for image in result.images if image.size == (64, 32))
    (both,) = (image for image in result.images if image.size != (64, 32))
    assert both.size[0] > 3 * 64
    red, green, blue = amplified.getpixel((5, 5))
    assert red == pytest.approx(8 * 10, abs=1)  # the host cuts to 8 bits
    assert green == blue == 0


def stretches(inked):
    """How many there are with ink, of a line of pixels, apart by more than a thirtieth of it."""
    places = np.flatnonzero(inked)
    return 1 + int((np.diff(places) > len(inked) / 30).sum())


@pytest.mark.parametrize("side", [64, 512, 1024])
def test_what_a_comparison_says_is_as_large_as_its_pictures_ask_for(host, side):
    result = host.run(comparison(solid(side, side, 0x808080), solid(side, side, 0x8A8080)))
    (sheet,) = (np.array(image.convert("L")) for image in result.images if image.size != (side, side))
    rows = np.flatnonzero((sheet == 0x80).sum(axis=1) >= side)
    assert len(rows) == side
    caption, titles = sheet[: rows[0]] < 128, sheet[rows[-1] + 1 :] < 192
    height, width = (int(np.ptp(np.flatnonzero(caption.any(axis=axis)))) for axis in (1, 0))
    assert height >= sheet.shape[1] / 80
    assert 300 < width < sheet.shape[1] - 20
    assert not caption[:, -10:].any()
    assert stretches(titles.any(axis=0)) == 3


@pytest.mark.parametrize(
    ("second", "sentence"),
    [
        (solid(64, 48, 0), "pictures of one size and number and got 1 of 64x32 and 1 of 64x48"),
        (
            {**solid(64, 32, 0), "inputs": {**solid(64, 32, 0)["inputs"], "batch_size": 2}},
            "and got 1 of 64x32 and 2 of",
        ),
    ],
)
def test_unlike_pictures_are_refused_with_their_sizes(host, second, sentence):
    with pytest.raises(PromptFailed, match=sentence):
        host.run(comparison(solid(64, 32, 0), second))


def test_an_amplification_out_of_range_is_refused(host):
    prompt = comparison(solid(64, 32, 0), solid(64, 32, 0))
    prompt["compare"]["inputs"]["amplify"] = 0.0
    with pytest.raises(PromptRefused):
        host.run(prompt)
