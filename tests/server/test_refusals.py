"""What an artist is told about a value that cannot be, and that the server goes on."""

import pytest
from comfy_client import PromptFailed, PromptRefused

pytestmark = pytest.mark.server


@pytest.fixture
def prompt(host, example_prompt):
    """The example at two steps, with a HiCache Settings node of default values."""
    prompt = example_prompt(HiCachePatchModel={"settings": ["settings", 0]}, KSampler={"steps": 2})
    return prompt | {"settings": {"class_type": "HiCacheSettings", "inputs": host.defaults("HiCacheSettings")}}


def sentences(refused, class_type):
    (node,) = (node for node in refused.node_errors.values() if node["class_type"] == class_type)
    return [f"{error['message']}: {error['details']}" for error in node["errors"]]


@pytest.mark.parametrize(
    ("class_type", "values", "told"),
    [
        ("HiCachePatchModel", {"mode": "nonsense"}, ("mode", "nonsense", "even intervals")),
        ("HiCachePatchModel", {"speed": 0.5}, ("speed", "0.5", "1.0")),
        ("HiCachePatchModel", {"speed": float("nan")}, ("speed", "nan", "from 1.0 to 10.0")),
        ("HiCachePatchModel", {"tolerance": 1.5}, ("tolerance", "1.5", "1.0")),
        ("HiCacheSettings", {"basis": "x"}, ("basis", "'x'", "hermite", "taylor")),
        ("HiCacheSettings", {"order": 9}, ("order", "9", "4")),
        ("HiCacheSettings", {"contraction": float("inf")}, ("contraction", "inf", "1.0")),
        (
            "HiCacheSettings",
            {"start_percent": 0.8, "end_percent": 0.2},
            ("start_percent", "0.8", "end_percent", "0.2", "must not be larger"),
        ),
    ],
)
def test_a_refusal_names_the_input_the_value_and_what_is_allowed(host, prompt, class_type, values, told):
    (node,) = (node for node in prompt.values() if node["class_type"] == class_type)
    node["inputs"].update(values)
    with pytest.raises(PromptRefused) as refused:
        host.run(prompt)
    assert any(all(word in sentence for word in told) for sentence in sentences(refused.value, class_type))


def test_the_server_goes_on_after_a_refused_and_a_failed_prompt(host, prompt):
    (patch,) = (node for node in prompt.values() if node["class_type"] == "HiCachePatchModel")
    patch["inputs"]["speed"] = 0.5
    with pytest.raises(PromptRefused):
        host.run(prompt)

    # A linked value is known only when the node runs.
    failing = prompt | {"number": {"class_type": "PrimitiveFloat", "inputs": {"value": 0.5}}}
    patch["inputs"]["speed"] = ["number", 0]
    with pytest.raises(PromptFailed, match=r"HiCachePatchModel: .*speed is 0\.5: it must be from 1\.0 to 10\.0"):
        host.run(failing)

    patch["inputs"] |= {"speed": 2.0, "mode": "listed steps"}
    with pytest.raises(PromptFailed, match=r"HiCachePatchModel: .*steps is empty: list the steps to compute"):
        host.run(prompt)

    patch["inputs"] |= {"speed": 1.0, "mode": "target speed"}
    assert host.run(prompt).calls == [2] * 6
