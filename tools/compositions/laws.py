"""What HiCache must keep in every composition, and the outcome of one cell of the matrix."""

from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from hicache_comfy import attach
from hicache_core import RunReport, Settings, presets

from .workflow import Workflow

SPEED = presets.speed(2.0)
PLAIN_SPEED = replace(SPEED, corrector=False)  # forecasts only: a corrector also undoes what guidance does on its own
EVEN = Settings(schedule="interval", interval=3, order=1, corrector=False)
SLOW = 3e-5  # relative; one step of a run that stands still, just more than what counts as the same noise level
CLOSE = 2e-2  # relative; random networks change by a third of that in such a run
EXACT = 1e-4  # relative; float32 rounding, multiplied by forecast weights and by noise levels of up to 700


class Broken(AssertionError):
    """A law does not hold."""


@dataclass
class Seen:
    """What a run showed from outside.

    calls  how often each watched network ran, by evaluation of the model
    x0     the denoised image of every step callback
    """

    calls: list[tuple[int, ...]] = field(default_factory=list)
    x0: list[Tensor] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    reports: list[RunReport] = field(default_factory=list)
    latent: Tensor = field(default_factory=lambda: torch.empty(0))

    @property
    def actions(self) -> list[str]:
        return [e.action for report in self.reports for e in report.evaluations]

    @property
    def messages(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(m for report in self.reports for m in report.messages))


@contextmanager
def _counting(modules: tuple[nn.Module, ...]) -> Any:
    counts: Counter[int] = Counter()
    handles = [m.register_forward_pre_hook(lambda *_, i=i: counts.update([i])) for i, m in enumerate(modules)]
    try:
        yield lambda: tuple(counts[i] for i in range(len(modules)))
    finally:
        for handle in handles:
            handle.remove()


def observe(workflow: Workflow, settings: Settings | None = None, frozen: bool = False, still: bool = False) -> Seen:
    """Run a workflow, patched with ``settings`` if there are any.

    frozen: with ``FrozenDirections``. still: from one noise level of the middle to almost the same.
    """
    seen, model = Seen(), workflow.model.clone()
    if hasattr(workflow.network, "clear_kv_cache"):  # HiDream-O1 keeps keys of the run before, equal but for rounding
        workflow.network.clear_kv_cache()
    with _counting((workflow.network, *workflow.watched)) as count:

        def evaluation(executor: Any, *args: Any, **kwargs: Any) -> Any:
            before = count()
            answer = executor(*args, **kwargs)
            seen.calls.append(tuple(b - a for a, b in zip(before, count(), strict=True)))
            return answer

        _outermost(model, "calc_cond_batch", evaluation)
        if still:
            _outermost(model, "outer_sample", lambda run, *args, **kw: run(*_standing_still(args), **kw), "still")
        _outermost(model, "outer_sample", lambda run, *args, **kw: run(*_with_callback(args, seen), **kw))
        if settings is not None:
            model = attach(model, settings, on_report=seen.reports.append)
        if frozen:
            model.add_wrapper_with_key("apply_model", "frozen", FrozenDirections())
        seen.latent = workflow.run(model)
    return seen


def _outermost(model: Any, kind: str, wrapper: Callable[..., Any], key: str = "probe") -> None:
    """The first key is the outermost wrapper."""
    model.add_wrapper_with_key(kind, key, wrapper)
    wrappers = model.wrappers[kind]
    model.wrappers[kind] = {key: wrappers.pop(key), **wrappers}


def _standing_still(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments of outer_sample; the fourth are the noise levels."""
    sigmas = args[3]
    return (*args[:3], sigmas[len(sigmas) // 2] * (1.0 - SLOW * torch.arange(len(sigmas))), *args[4:])


def _with_callback(args: tuple[Any, ...], seen: Seen) -> tuple[Any, ...]:
    """The arguments of outer_sample; the sixth is the step callback."""

    def note(step: int, x0: Tensor, *rest: Any) -> None:
        seen.steps.append(step)
        seen.x0.append(x0.clone())
        if args[5] is not None:
            args[5](step, x0, *rest)

    return (*args[:5], note, *args[6:])


class FrozenDirections:
    """APPLY_MODEL wrapper, innermost: each condition keeps the direction that the network gave it first.

    Then every forecast is exact, and if a run with forecasts differs from the full run, something was mixed up. A
    condition is known here by all that the host says of it: uuid, context window, patches, hooked LoRAs and their
    strength, ControlNet, shape of the (cropped) latent, and the how manieth call with all this at one noise level.
    """

    def __init__(self) -> None:
        self.directions: dict[Any, Tensor] = {}
        self.sigma = 0.0
        self.asked: Counter[Any] = Counter()

    def __call__(self, executor: Any, x: Tensor, t: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        options = _argument(executor, x, t, *args, **kwargs)["transformer_options"]
        control = _argument(executor, x, t, *args, **kwargs).get("control")
        sigma = float(t[0])
        if sigma != self.sigma:
            self.sigma = sigma
            self.asked.clear()
        keys = [self._key(executor.class_obj, x, uuid, options, control) for uuid in options["uuids"]]
        if any(key not in self.directions for key in keys):
            denoised = executor(x, t, *args, **kwargs)
            for key, direction in zip(keys, ((x - denoised) / sigma).chunk(len(keys)), strict=True):
                self.directions.setdefault(key, direction)
        return x - sigma * torch.cat([self.directions[key] for key in keys])

    def _key(self, model: Any, x: Tensor, uuid: Any, options: dict[str, Any], control: Any) -> Any:
        window = tuple(getattr(options.get("context_window"), "index_list", ()))
        patches = tuple(sorted(map(str, _leaves((options.get("patches"), options.get("patches_replace"))))))
        hooks = getattr(model.current_patcher, "current_hooks", None)
        strengths = () if hooks is None else tuple((id(hook), hook.strength) for hook in hooks.hooks)
        added = () if control is None else tuple(sorted((k, sum(c is not None for c in v)) for k, v in control.items()))
        asked = (uuid, window, patches, strengths, added, x.shape[1:])
        self.asked[asked] += 1
        return (*asked, self.asked[asked])


def _argument(executor: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
    names = ("x", "t", "c_concat", "c_crossattn", "control", "transformer_options")
    return {**dict(zip(names, args, strict=False)), **kwargs}


def _leaves(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        return [leaf for key, value in tree.items() for leaf in ((key, found) for found in _leaves(value))]
    if isinstance(tree, (list, tuple)):
        return [leaf for value in tree for leaf in _leaves(value)]
    return [] if tree is None else [id(tree)]


def relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


def check(holds: bool, law: str) -> None:
    if not holds:
        raise Broken(law)


def outcome(workflow: Workflow, plain: Seen, settings: Settings = SPEED) -> str:
    """Either "pass" or "unchanged: why"; raises Broken.

    Network calls of every evaluation are those of the plain run, or none where it was forecast. A run without any
    forecast gives the plain run's latent and says why.
    """
    cached = observe(workflow, settings)
    check(bool(torch.isfinite(cached.latent).all()), "the result is finite")
    check(cached.steps == plain.steps, f"step callbacks {cached.steps} are those of the plain run, {plain.steps}")
    check(len(cached.actions) == len(plain.calls), "every evaluation is in the report")
    _check_calls(cached, plain, settings.level)
    if "forecast" in cached.actions:
        check(not torch.equal(cached.latent, plain.latent), "forecasts are not the network's own answers")
        return "pass"
    check(torch.equal(cached.latent, plain.latent), "without a forecast the result is the plain run's")
    check(bool(cached.messages), "a run without a forecast says why")
    return f"unchanged: {cached.messages[0]}"


def _check_calls(cached: Seen, plain: Seen, level: str) -> None:
    """At the levels inside the network it is entered at every step, and so are ControlNets."""
    for i, (action, mine, full) in enumerate(zip(cached.actions, cached.calls, plain.calls, strict=True)):
        skipped = action == "forecast" and level == "output"
        expected = (0,) * len(full) if skipped else full
        check(mine == expected, f"evaluation {i}, {action}: calls {mine}, not {expected}")


def exact_when_frozen(workflow: Workflow) -> None:
    """A frozen direction is forecast exactly, through whatever guidance; the step callbacks show the same pictures."""
    full, cached = observe(workflow, frozen=True), observe(workflow, PLAIN_SPEED, frozen=True)
    pictures = zip((*cached.x0, cached.latent), (*full.x0, full.latent), strict=True)
    error = max(relative(a, b) for a, b in pictures)
    check(error < EXACT, f"a frozen direction is forecast exactly: off by {error:.1e}")


def close_when_standing_still(workflow: Workflow, level: str) -> None:
    """Where the noise level hardly changes, a forecast is the network's answer at every level: nothing is left out,
    nothing is added twice, nothing is mixed up."""
    full, cached = observe(workflow, still=True), observe(workflow, replace(EVEN, level=level), still=True)
    error = max(relative(a, b) for a, b in zip(cached.x0, full.x0, strict=True))
    check(error < CLOSE, f"a run that stands still is forecast closely: off by {error:.1e}")


def unchanged_at_speed_one(workflow: Workflow, plain: Seen) -> None:
    latent = observe(workflow, presets.speed(1.0)).latent
    check(torch.equal(latent, plain.latent), "speed 1 changes nothing")
