"""HiCache Report: what the last run did, as a picture, as text and as JSON."""

import json
from collections.abc import Iterator
from typing import Any

from comfy_api.latest import io, ui
from torch import Tensor

from ..hicache_comfy import lacks_patch, last_report
from ..hicache_core import RunReport
from .plots import draw_absence, draw_run

ABSENT = (
    "HiCache is not active: HiCache Patch Model is bypassed, or this MODEL has not gone through it, so every step is "
    "computed."
)


def upstream(prompt: dict[str, Any], node: str, name: str) -> Iterator[str]:
    """The ids of the nodes that an input depends on, the nearest first."""
    waiting, seen = [prompt.get(node, {}).get("inputs", {}).get(name)], set[str]()
    for link in waiting:
        if isinstance(link, list) and len(link) == 2 and str(link[0]) not in seen:
            seen.add(str(link[0]))
            yield str(link[0])
            waiting += prompt.get(str(link[0]), {}).get("inputs", {}).values()


def _answer(node: type[io.ComfyNode], picture: Tensor, text: str, report: RunReport) -> io.NodeOutput:
    data = json.dumps(report.as_dict(), indent=2, allow_nan=False)
    return io.NodeOutput(picture, text, data, ui=ui.PreviewImage(picture, cls=node))


class HiCacheReport(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiCacheReport",
            display_name="HiCache Report",
            category="HiCache",
            description="Shows what HiCache did in a run: the computed steps, how long each took, what was saved.",
            search_aliases=["cache report", "statistics", "timeline", "benchmark", "HiCache log"],
            inputs=[
                io.Model.Input("model", tooltip="The MODEL that HiCache Patch Model gave to the sampler."),
                io.Latent.Input(
                    "samples", tooltip="What the sampler returned, so that the report comes after the run."
                ),
                io.Int.Input(
                    "scale",
                    default=2,
                    min=1,
                    max=4,
                    advanced=True,
                    tooltip="Pixels for each point of the picture: 1 makes it 960 pixels wide, 2 twice as wide.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="IMAGE", tooltip="The run as a plot."),
                io.String.Output(
                    display_name="SUMMARY", tooltip="The run in one line, then HiCache's remarks, if any."
                ),
                io.String.Output(display_name="JSON", tooltip="Every evaluation and all totals, for scripts."),
            ],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
            not_idempotent=True,
        )

    @classmethod
    def execute(cls, model: Any, samples: dict[str, Any], scale: int = 2) -> io.NodeOutput:
        if lacks_patch(model):
            return _answer(cls, draw_absence(ABSENT, scale), ABSENT, RunReport((), 0, (ABSENT,)))
        prompt, node = cls.hidden.prompt or {}, str(cls.hidden.unique_id)
        report = last_report(model, tuple(upstream(prompt, node, "samples")))
        if report is None:
            raise ValueError(
                "HiCache Report found no run of this MODEL: connect the MODEL output of HiCache Patch Model, the one "
                "that also goes to the sampler."
            )
        return _answer(cls, draw_run(report, scale), "\n".join((report.summary(), *report.messages)), report)
