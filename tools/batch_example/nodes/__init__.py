"""Texts for the small Flux, which has no text encoder: four words make its conditioning."""

from comfy_api.latest import ComfyExtension, io

from .pictures import SPLITS, Caption, encode_captions

GUIDANCE = 3.0
KINDS = ("shapes", "colours", "colours", "textures")
NAMES = ("a shape", "its colour", "the background's colour", "a texture")


def caption(text: str) -> Caption:
    """Raises ValueError naming the words that the small Flux knows."""
    words = text.split()
    for split in SPLITS.values():
        if len(words) == len(KINDS) and all(w in getattr(split, kind) for w, kind in zip(words, KINDS, strict=True)):
            return Caption(*words)
    known = "; or ".join(
        ", ".join(w for kind in dict.fromkeys(KINDS) for w in getattr(s, kind)) for s in SPLITS.values()
    )
    raise ValueError(f"The small Flux does not know {text!r}: write {', '.join(NAMES)}, in words of {known}.")


class SmallFluxText(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SmallFluxText",
            display_name="Small Flux Text",
            category="HiCache/demo",
            inputs=[io.String.Input("text", default="hexagon mint navy dots", multiline=True)],
            outputs=[io.Conditioning.Output()],
        )

    @classmethod
    def execute(cls, text: str) -> io.NodeOutput:
        context, pooled = encode_captions([caption(text)])
        return io.NodeOutput([[context, {"pooled_output": pooled, "guidance": GUIDANCE}]])


class BatchExample(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [SmallFluxText]


async def comfy_entrypoint() -> BatchExample:
    return BatchExample()
