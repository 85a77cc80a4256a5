"""One sampling run: where it stands, what it decided, what it remembers. Built anew for every run, never reset."""

import math
import time
from collections import Counter, deque
from collections.abc import Callable, Hashable, Mapping, Sequence

from torch import Tensor

from .basis import BASES, BasisOptions, Weights
from .corrector import DriftCorrector
from .history import Anchor, History, measure
from .pace import Pace
from .report import RunReport
from .schedule import POLICIES
from .settings import Settings
from .steps import StepCursor, step_range
from .timeline import Timeline

Key = Hashable


class Session:
    """Decides compute or forecast once per step and keeps the histories; used from the sampler's thread only.

    sigmas       noise levels of the run, one more than steps
    start_sigma  no forecast above this noise level
    end_sigma    no forecast below this noise level
    correct_drift  whether the sampler is one whose steps the corrector understands
    clock        seconds; replaced in tests

    ``sigma`` is the noise level of the last evaluation; ``evaluations`` counts them, ``forecasts`` those forecast.

    For every evaluation the host calls ``begin``, then ``forecast``; if that returned None it runs the network and, if
    ``wants_anchors``, calls ``record`` with the answer. ``finish`` ends the run.
    """

    def __init__(
        self,
        settings: Settings,
        sigmas: Sequence[float],
        start_sigma: float = math.inf,
        end_sigma: float = 0.0,
        correct_drift: bool = False,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        steps = step_range(sigmas, start_sigma, end_sigma)
        self._settings = settings
        self._total = steps.total
        self._sigmas = sigmas
        self._corrector = DriftCorrector(sigmas) if correct_drift and settings.corrector else None
        self._plan = POLICIES[settings.schedule](settings, steps)
        self._pace = Pace(self._plan, self._total)
        self._cursor = StepCursor(sigmas)
        self._options = BasisOptions(settings.order, settings.contraction, first_ready=settings.warmup_steps - 1)
        self._keep = settings.degree + 1
        self._histories: dict[Key, History] = {}
        self._ordinals: Counter[Hashable] = Counter()
        self._timeline = Timeline(clock)
        self._recorded: deque[float] = deque(maxlen=self._keep + 2)
        self._messages = [self._plan.message] if self._plan.message else []
        self._bytes_held = 0
        self._step = -1
        self._position = -1.0
        self.sigma = math.inf
        self.evaluations = 0
        self.forecasts = 0
        self._compute = True

    def begin(self, sigma: float, call: Hashable) -> Key:
        """Enter an evaluation at noise level ``sigma`` and return the key of its histories.

        ``call`` identifies the conditions and the window. The same call again at the same noise level, as guidance
        nodes and samplers with several evaluations per step make, gets histories of its own.
        """
        position, rose = self._cursor.locate(sigma)
        if rose:
            self._histories.clear()
            self._recorded.clear()
            self._corrector = DriftCorrector(self._sigmas) if self._corrector else None
            self._pace = Pace(self._plan, self._total)
        if rose or position != self._position:
            self._ordinals.clear()
        if rose or math.floor(position) != self._step:
            self._step = math.floor(position)
            self._compute = self._pace.must_compute(self._step)
        self._position, self.sigma = position, sigma
        self.evaluations += 1
        self._timeline.begin(self._step, position, sigma)
        self._ordinals[call] += 1
        return (call, self._ordinals[call])

    def forecast(self, key: Key, signatures: Mapping[int, Hashable]) -> dict[int, Tensor] | None:
        """The forecasts of this evaluation by index, or None if the network must run.

        signatures: by index of the condition, what must have stayed equal since its anchors were stored.
        """
        if self._compute:
            return None
        series = {index: self._series((key, index), signature) for index, signature in signatures.items()}
        reason = next((r for _, _, r in series.values() if r), "")
        if reason:
            self._timeline.mark("refused", reason)
            return None
        self._timeline.mark("forecast")
        self.forecasts += 1
        return {index: history.combine(weights) for index, (history, weights, _) in series.items()}

    @property
    def wants_anchors(self) -> bool:
        """Whether what is computed now can still serve a forecast."""
        return self._pace.may_forecast_after(self._step)

    def record(self, key: Key, anchors: Mapping[int, tuple[Hashable, Tensor]]) -> None:
        """Store what the network returned, (signature, tensor) by index. The tensors become the session's own."""
        if not anchors:
            return
        predicted = [self._hindsight((key, index), signature) for index, (signature, _) in anchors.items()]
        magnitudes, error = measure([tensor for _, tensor in anchors.values()], predicted)
        for (index, (signature, tensor)), magnitude in zip(anchors.items(), magnitudes, strict=True):
            self._remember((key, index), signature, Anchor(self._position, tensor, magnitude))
        self._forget_abandoned()
        self._pace.computed(self._step, error)
        self._timeline.mark_error(error)
        self._bytes_held = max(self._bytes_held, self._nbytes())

    @property
    def wants_directions(self) -> bool:
        """Whether ``correct`` has anything to do in this run from here on."""
        return self._corrector is not None and (self.wants_anchors or self._corrector.pending)

    def correct(self, direction: Tensor, was_forecast: bool) -> Tensor | None:
        """What to add to the guided direction that the sampler just got, None if there is nothing to undo.

        direction: (x - denoised) / sigma after guidance; it becomes the session's own.
        was_forecast: whether any part of it was forecast.
        """
        assert self._corrector is not None
        if was_forecast:
            self._corrector.forecast(self._step, direction)
            return None
        addition = self._corrector.computed(self._step, direction)
        if addition is not None:
            self._timeline.mark_corrected()
        return addition

    def say_once(self, message: str) -> bool:
        """Keep a message for the report; True the first time."""
        if message in self._messages:
            return False
        self._messages.append(message)
        return True

    def finish(self) -> RunReport:
        """End the run: drop every tensor and return the report."""
        self._histories.clear()
        self._corrector = None
        evaluations = self._timeline.close()
        refused = Counter(e.reason for e in evaluations if e.action == "refused")
        messages = (f"{count} planned forecasts were computed instead: {why}" for why, count in refused.items())
        return RunReport(evaluations, self._bytes_held, (*self._messages, *messages))

    def _nbytes(self) -> int:
        corrector = self._corrector.nbytes if self._corrector else 0
        return corrector + sum(history.nbytes for history in self._histories.values())

    def _forget_abandoned(self) -> None:
        """Drop histories without a new anchor for as many computed positions as a history holds, and one more.

        Context windows that move leave such histories behind at every step.
        """
        if self._position not in self._recorded:
            self._recorded.append(self._position)
        if len(self._recorded) == self._recorded.maxlen:
            horizon = self._recorded[0]
            self._histories = {k: h for k, h in self._histories.items() if h.newest > horizon}

    @property
    def _anchors_needed(self) -> int:
        return min(self._settings.warmup_steps, self._keep)

    def _weights(self, history: History) -> Weights:
        return history.weights(self._position, BASES[self._settings.basis], self._options)

    def _series(self, key: Key, signature: Hashable) -> tuple[History, Weights, str]:
        """The history and weights of a forecast, and why it must not be used, if so."""
        history = self._histories.get(key, History(signature))
        if len(history.anchors) < self._anchors_needed:
            return history, [], "too few computed evaluations to forecast from"
        if history.signature != signature:
            return history, [], "the conditions or the latent changed"
        weights = self._weights(history)
        if history.bound(weights) > self._settings.explosion_limit:
            return history, [], "the forecast could explode"
        return history, weights, ""

    def _hindsight(self, key: Key, signature: Hashable) -> Tensor | None:
        """What would have been forecast at this computed evaluation; only an adaptive schedule asks."""
        if self._plan.controller is None:
            return None
        history, weights, reason = self._series(key, signature)
        return None if reason else history.combine(weights)

    def _remember(self, key: Key, signature: Hashable, anchor: Anchor) -> None:
        history = self._histories.get(key)
        if history is None or history.signature != signature:
            history = self._histories[key] = History(signature)
        if math.isfinite(anchor.magnitude):
            history.add(anchor, self._keep)
        else:
            history.anchors.clear()
