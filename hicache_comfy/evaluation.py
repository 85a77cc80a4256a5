"""One evaluation of the model by the sampler: computed or forecast, at the level of the run."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from .conditions import Conds, call_key, replay_keyframes
from .run import Asked, Run, run_of
from .shortage import spared


@dataclass(frozen=True, slots=True)
class Request:
    """A call of CALC_COND_BATCH: the denoised image of every entry of ``conds`` for the noisy latent ``x``."""

    executor: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @property
    def model(self) -> Any:
        return self.args[0]

    @property
    def conds(self) -> Conds:
        return self.args[1]

    @property
    def x(self) -> Tensor:
        return self.args[2]

    @property
    def timestep(self) -> Tensor:
        return self.args[3]

    @property
    def model_options(self) -> dict[str, Any]:
        return self.args[4]

    @property
    def repeatable(self) -> bool:
        """Threads of the host's MultiGPU split would keep answers of a call that failed, and give them to the next."""
        return "multigpu_thread_pool" not in self.model_options

    def compute(self) -> list[Tensor]:
        """The host's answer."""
        return self.executor(*self.args, **self.kwargs)


def calc_cond_batch(executor: Any, *args: Any, **kwargs: Any) -> list[Tensor]:
    """CALC_COND_BATCH wrapper, on the sampler's thread: the one place that asks the session.

    If memory runs out, the host computes this evaluation once more, without us.
    """
    request = Request(executor, args, kwargs)
    run = run_of(request.model_options)
    sigma = float(request.timestep[0]) if run is not None else 0.0
    if run is None or sigma <= 0.0:
        return request.compute()
    replay_keyframes(request.model, request.conds, sigma, request.timestep, request.model_options)
    key = run.session.begin(sigma, call_key(request.conds, request.model_options))
    if not request.repeatable:
        return _evaluate(run, request, sigma, key)
    with spared(run):
        return _evaluate(run, request, sigma, key)
    run.session.compute_instead()
    return request.compute()


def _evaluate(run: Run, request: Request, sigma: float, key: Hashable) -> list[Tensor]:
    position, signatures = run.session.position, run.level.signatures(request, sigma)
    images = _answered(run, request, sigma, key, signatures)
    if run.asked is None:
        active = sorted({branch[0] if isinstance(branch, tuple) else branch for branch in signatures})
        run.asked = Asked(position, sigma, frozenset(signatures.items()), [images[index] for index in active])
    return images


def _answered(run: Run, request: Request, sigma: float, key: Hashable, signatures: Any) -> list[Tensor]:
    series = run.session.forecast(key, signatures)
    if series is not None:
        return run.level.forecast(request, sigma, series, run.session)
    if not run.session.wants_anchors:
        return request.compute()
    run.session.make_room(key, signatures)
    denoised, kept = run.level.compute(request, sigma, signatures)
    with spared(run):  # the answer stands
        anchors = kept()
        if signatures and not anchors and run.level.served is None:
            _fall_back(run)
            signatures = run.level.signatures(request, sigma)
            anchors = run.level.anchors(request, sigma, denoised, signatures)
        run.session.record(key, {branch: (signatures[branch], tensors) for branch, tensors in anchors.items()})
    return denoised


def _fall_back(run: Run) -> None:
    reason = run.level.trouble or "this model does not run its blocks through ComfyUI's patches"
    run.session.say_once(f"{reason}: the model's output is forecast instead")
    run.level = run.level.fallback
