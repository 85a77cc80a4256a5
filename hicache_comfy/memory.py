"""How many bytes a run will keep, where, and how the host is told before it loads the model."""

import inspect
import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import comfy.model_management as host
import torch
from comfy.samplers import CFGGuider
from torch import Tensor

from ._core import Settings
from .block_level import BlockLevel
from .run import run_of

if TYPE_CHECKING:
    from torch.nn import Module

    from .architectures import BlockKind
    from .run import Run

Shapes = Sequence[Sequence[int]]
CPU = torch.device("cpu")


def settle(
    run: "Run", settings: Settings, guider: Any, noise: Tensor, parts: Shapes | None = None, asks: int = 1
) -> None:
    """Decide where the anchors of this run will be, and how many bytes to announce on the device of the model.

    Called before the host prepares the run. noise: (B, ...) of the whole latent. parts: the shapes of the latents that
    the host has packed into it, as video and audio. asks: histories of a condition.
    """
    patcher = guider.model_patcher
    latents = parts if parts and len(parts) > 1 else [noise.shape]
    windows = [_windows(guider.model_options.get("context_handler"), shape) for shape in latents]
    every = _anchor_bytes(run, guider, list(itertools.chain.from_iterable(windows)))
    largest = _anchor_bytes(run, guider, [max(of_part, key=math.prod) for of_part in windows])
    if not isinstance(run.level, BlockLevel):
        largest //= max(1, len(_computed(guider)))  # one condition's anchor is made after the other
    anchors, directions = run.session.most_held(asks * every, largest, 4 * noise.numel())
    on_cpu = settings.cache_device == "cpu"
    if settings.cache_device == "auto" and not has_room(patcher, noise.shape, anchors + directions):
        on_cpu = True
        size = f"{anchors / 2**30:.1f} GiB" if anchors >= 2**30 else f"{anchors / 2**20:.1f} MiB"
        run.session.say_once(f"{patcher.load_device} has no room for {size} of computed steps: the CPU keeps them")
    if on_cpu:
        run.session.storage = CPU
        if isinstance(run.level, BlockLevel):
            run.level.storage = CPU
    run.announced = directions if on_cpu and patcher.load_device.type != "cpu" else anchors + directions


def prepare_sampling(executor: Any, *args: Any, **kwargs: Any) -> Any:
    """PREPARE_SAMPLING wrapper, innermost: the host's estimate of a latent that is larger by what the run will keep.

    The host has no call that reserves memory. It makes room for what it estimates from the shape of the latent, and
    its own context windows change that shape in this very place. The other ways come too late (freeing memory once the
    model is loaded, or patching its memory factor, which takes effect with the load) or lie (a model that is none).
    """
    call = inspect.signature(executor.original).bind(*args, **kwargs)
    run = run_of(call.arguments.get("model_options") or {})
    if run is not None and run.announced:
        call.arguments["noise_shape"] = _grown(call.arguments["model"], call.arguments["noise_shape"], run.announced)
    return executor(*call.args, **call.kwargs)


def has_room(patcher: Any, shape: Sequence[int], size: int) -> bool:
    """Whether ``size`` bytes fit on the model's device beside what the host wants free there, with every model off it.

    Weights that make room for anchors are streamed in at computed steps, at most as many bytes as the anchors have,
    and anchors on the CPU would all be streamed in at every skipped step: as long as they fit at all, they stay.
    """
    device = patcher.load_device
    if device.type == "cpu":
        return True
    loaded = (m.model_loaded_memory() for m in host.current_loaded_models if m.model is not None and m.device == device)
    available = (host.get_free_memory(device) + sum(loaded)) * (1.0 - host.MIN_WEIGHT_MEMORY_RATIO)
    working = max(host.minimum_inference_memory(), patcher.memory_required(list(shape)) + host.extra_reserved_memory())
    return size + working <= available


def _grown(patcher: Any, shape: Sequence[int], size: int) -> list[int]:
    """The shape with its last axis so much longer that the host's estimate, which is proportional to it, grows by
    ``size`` bytes."""
    *others, last = shape
    return [*others, last + math.ceil(last * size / patcher.model.memory_required(list(shape)))]


def _anchor_bytes(run: "Run", guider: Any, shapes: Shapes) -> int:
    """What computing latents of these shapes once stores."""
    entries = _computed(guider)
    level = run.level
    if not isinstance(level, BlockLevel):
        return 4 * sum(map(math.prod, shapes)) * len(entries)
    model = guider.model_patcher.model
    calls = itertools.product(shapes, itertools.chain.from_iterable(entries))
    tokens = sum(_stored_tokens(level, model.diffusion_model, shape, cond) for shape, cond in calls)
    width = _width(level, model.diffusion_model)
    return shapes[0][0] * tokens * width * model.get_dtype_inference().itemsize


def _computed(guider: Any) -> list[list[dict[str, Any]]]:
    """The guider's conditions that the network will be called for: at CFG 1 the host leaves the negative ones out."""
    alone = type(guider).predict_noise is CFGGuider.predict_noise and math.isclose(guider.cfg, 1.0)
    alone = alone and not guider.model_options.get("disable_cfg1_optimization", False)
    return [conds for name, conds in guider.conds.items() if conds and not (alone and name == "negative")]


def _windows(handler: Any, shape: Sequence[int]) -> list[tuple[int, ...]]:
    """The shapes of the context windows that cover a latent. Newer hosts add a frame to all but the first."""
    length, axis = getattr(handler, "context_length", None), getattr(handler, "dim", 0)
    if length is None or axis >= len(shape) or shape[axis] <= length:
        return [tuple(shape)]
    step = max(1, length - getattr(handler, "context_overlap", 0))
    later = math.ceil((shape[axis] - length) / step)
    lengths = [length, *[length + bool(getattr(handler, "causal_window_fix", False))] * later]
    return [(*shape[:axis], one, *shape[axis + 1 :]) for one in lengths]


def _width(level: BlockLevel, network: "Module") -> int:
    """Channels of the hidden states: what the first linear layer of the first block takes, of whatever class the
    loader made it; 0, so that nothing is announced, where no layer says."""
    kind, index = level.architecture.places(network)[0]
    block = getattr(network, kind.attribute)[index]
    return next((m.in_features for m in block.modules() if hasattr(m, "in_features")), 0)


def _stored_tokens(level: BlockLevel, network: "Module", shape: Sequence[int], cond: dict[str, Any]) -> int:
    """Tokens of all slots of a condition: the formulas of docs/levels.md."""
    shapes = [shape, *(latent.shape for latent in cond.get("reference_latents") or ())]
    text = cond["cross_attn"].shape[1] if cond.get("cross_attn") is not None else 0
    patch = level.architecture.patch or getattr(network, "patch_size", 1)
    image = sum(_tokens(patch, one) for one in shapes)
    if level.patch == "stack":
        return image
    tokens = sum(_slot_tokens(level, kind, image, text) for kind, _ in level.architecture.places(network))
    leaving = level.patch == "block" and "txt" in level.architecture.kinds[-1].streams
    return tokens - text * leaving


def _slot_tokens(level: BlockLevel, kind: "BlockKind", image: int, text: int) -> int:
    """Tokens of all slots of a block. Where other blocks have a stream for the text and this has none, its image
    stream carries both."""
    if level.patch == "module" and kind.modules:
        streams = [slot.stream for slot in kind.modules.slots]
    else:  # of a pair, each stream carries its own part of the latent, and parts are counted one by one
        streams = list({stream.partition(".")[0] for stream in kind.streams})
    joint = "txt" not in kind.streams and any("txt" in other.streams for other in level.architecture.kinds)
    return sum({"txt": text}.get(stream, image + text * joint) for stream in streams)


def _tokens(patch: int | Sequence[int], shape: Sequence[int]) -> int:
    """Patches of a latent (B, C, [frames,] height, width)."""
    sides = tuple(patch) if isinstance(patch, Sequence) else (patch, patch)
    sides = ((1,) * len(shape) + sides)[-len(shape[2:]) :]
    return math.prod(math.ceil(n / p) for n, p in zip(shape[2:], sides, strict=True))
