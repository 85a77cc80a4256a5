"""The ways to sample that the demo compares, as edits of the example workflow's prompt."""

from copy import deepcopy
from dataclasses import dataclass

from comfy_client.client import Prompt

PROBE, READOUT = "probe", "readout"


@dataclass(frozen=True)
class Variant:
    name: str
    steps: int
    speed: float | None = None  # of HiCache Patch Model; None is without it


VARIANTS = (
    Variant("50 steps", 50),
    Variant("HiCache 2.5x", 50, speed=2.5),
    Variant("HiCache 5x", 50, speed=5.0),
    Variant("20 steps", 20),
    Variant("10 steps", 10),
)
WARM_UP = Variant("warm-up", 2)


def node_id(prompt: Prompt, class_type: str) -> str:
    """Of the one node of this type. Raises ValueError if there is none or more than one."""
    (found,) = (key for key, node in prompt.items() if node["class_type"] == class_type)
    return found


def variant_prompt(example: Prompt, variant: Variant) -> Prompt:
    """The example with the variant's settings and the demo's probe between model and sampler."""
    prompt = deepcopy(example)
    patch, sampler = node_id(prompt, "HiCachePatchModel"), node_id(prompt, "KSampler")
    inputs = prompt[sampler]["inputs"]
    inputs["steps"] = variant.steps
    if variant.speed is None:
        inputs["model"] = prompt.pop(patch)["inputs"]["model"]
    else:
        prompt[patch]["inputs"]["speed"] = variant.speed
    return with_probe(prompt, sampler)


def with_probe(prompt: Prompt, sampler: str) -> Prompt:
    """A prompt whose history tells the network calls of every picture, as the output of its node READOUT."""
    inputs = {**prompt[sampler]["inputs"], "model": [PROBE, 0]}
    return prompt | {
        PROBE: {"class_type": "HiCacheDemoProbe", "inputs": {"model": prompt[sampler]["inputs"]["model"]}},
        sampler: {**prompt[sampler], "inputs": inputs},
        READOUT: {"class_type": "HiCacheDemoReadout", "inputs": {"latent": [sampler, 0]}},
    }
