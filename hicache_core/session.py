"""One sampling run: where it stands, what it decided, what it remembers. Built anew for every run, never reset."""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

import torch
from torch import Tensor

from .basis import ANALYTIC, BASES, BasisOptions
from .corrector import DriftCorrector
from .history import Anchor, Histories, History, Series, Slot
from .measure import Questions
from .pace import Pace
from .report import RunReport
from .schedule import POLICIES, Plan
from .settings import Settings
from .steps import StepCursor, step_range
from .timeline import Timeline
from .trust import FULL, NONE, Trend, TrendTrust

Key = Hashable  # of a call of the network
Branch = Hashable  # of one condition in it
Tensors = Mapping[Slot, Tensor]
Answer = (
    Tensors | Callable[[], Tensors]
)  # of the network for a branch: tensors by slot, or what makes them in their turn


class Session:
    """Decides compute or forecast once per step and keeps the histories; used from the sampler's thread only.

    sigmas       noise levels of the run, one more than steps
    start_sigma  no forecast above this noise level
    end_sigma    no forecast below this noise level
    correct_drift  whether the sampler is one whose steps the corrector understands
    smooth       whether the sampler adds no noise, so that the trend of its directions means something; where it adds
                 some, forecasts had better follow none
    flow         whether noise replaces the picture instead of being added to it (density.py)
    hindsight    compare what is computed with what would have been forecast, as adaptive schedules always do
    timeline     keeps the evaluations; its own, if it shall tell a listener of them

    ``sigma`` is the noise level of the last evaluation; ``evaluations`` counts them, ``forecasts`` those for which a
    forecast was handed out. ``storage`` is the device that keeps the anchors, None: each where it was computed; it may
    be set before the first evaluation. ``plan`` is what it means to do in ``total`` steps.

    For every evaluation the host calls ``begin``, then ``forecast``; if that returned None it calls ``make_room``, runs
    the network and, if ``wants_anchors``, calls ``record`` with the answer. ``finish`` ends the run.
    """

    def __init__(
        self,
        settings: Settings,
        sigmas: Sequence[float],
        start_sigma: float = math.inf,
        end_sigma: float = 0.0,
        correct_drift: bool = False,
        smooth: bool = True,
        flow: bool = True,
        hindsight: bool = False,
        timeline: Timeline | None = None,
    ) -> None:
        steps = step_range(sigmas, start_sigma, end_sigma, flow)
        self._settings = settings
        self.total = steps.total
        self._sigmas = sigmas
        self._corrector = DriftCorrector(sigmas) if correct_drift and settings.corrector else None
        self._trust = TrendTrust() if smooth and settings.stabilizer else None
        self._untold = NONE if settings.stabilizer else FULL
        self.plan = POLICIES[settings.schedule](settings, steps)
        self._hindsight = hindsight or self.plan.controller is not None
        self._pace = Pace(self.plan, self.total)
        self._cursor = StepCursor(sigmas)
        self._options = BasisOptions(settings.order, settings.contraction, first_ready=settings.warmup_steps - 1)
        self._keep = settings.anchors
        self._histories = Histories(self._keep + 2)
        self._ordinals: Counter[Hashable] = Counter()
        self._timeline = timeline or Timeline()
        self._messages = [self.plan.message] if self.plan.message else []
        self._bytes_held = 0
        self._held_on: set[str] = set()
        self.storage: torch.device | None = None
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
            self._corrector = DriftCorrector(self._sigmas) if self._corrector else None
            self._trust = TrendTrust() if self._trust else None
            self._pace = Pace(self.plan, self.total)
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

    def forecast(self, key: Key, signatures: Mapping[Branch, Hashable]) -> dict[Branch, Series] | None:
        """The forecasts of this evaluation by branch, or None if the network must run.

        signatures: by branch, what must have stayed equal since its anchors were stored.
        """
        if self._compute:
            return None
        nothing = History(None)
        found = {
            branch: self._series(self._histories.get((key, branch), nothing), signature)
            for branch, signature in signatures.items()
        }
        reason = next((why for _, why in found.values() if why), "")
        if reason:
            self._timeline.mark("refused", reason)
            return None
        self._timeline.mark("forecast")
        self.forecasts += 1
        return {branch: series for branch, (series, _) in found.items() if series is not None}

    def overrule(self, reason: str) -> None:
        """Note that a forecast could not be used after all, or not all of it, and the network ran."""
        self._timeline.mark("refused", reason)

    @property
    def wants_anchors(self) -> bool:
        """Whether what is computed now can still serve a forecast."""
        return self._pace.may_forecast_after(self._step)

    def make_room(self, key: Key, branches: Iterable[Branch]) -> None:
        """Before the network runs: drop what its answer will push out, unless a hindsight still needs it."""
        if self.wants_anchors and not self._hindsight:
            for branch in branches:
                if (key, branch) in self._histories:
                    self._histories[key, branch].make_room(self._position, self._keep)

    def record(self, key: Key, anchors: Mapping[Branch, tuple[Hashable, Answer]]) -> None:
        """Store what the network returned, (signature, tensors by slot) by branch. They become the session's own.

        Each takes the place of its history's oldest anchor before the next one is made; all that must be known of them
        comes from the device afterwards, at once.
        """
        if not anchors:
            return
        self._note_bytes(*(answer for _, answer in anchors.values() if not callable(answer)))
        questions: Questions[Branch] = Questions()
        for branch, (signature, answer) in anchors.items():
            self._take(branch, self._history((key, branch), signature), answer, questions)
        magnitudes, errors, trends = questions.answers()
        for branch in anchors:
            self._histories[key, branch].settle(magnitudes[branch], trends[branch])
        self._histories.forget_abandoned(self._position)
        error = max((error for by_slot in errors.values() for error in by_slot.values()), default=None)
        self._pace.computed(self._step, error)
        self._timeline.mark_error(error)

    def _take(self, branch: Branch, history: History, answer: Answer, questions: Questions[Branch]) -> None:
        """Ask what must be known of computed tensors, and make an anchor of them whose magnitudes are not known yet."""
        tensors = answer() if callable(answer) else answer
        self._note_bytes(tensors)
        questions.magnitude(branch, tensors)
        if history.continues(tensors) and history.newest < self._position:
            series, _ = self._series(history, history.signature) if self._hindsight else (None, "")
            if series is not None:  # what would have been forecast here?
                questions.error(branch, tensors, series)
            if self._settings.basis == ANALYTIC and self._position >= self._options.first_ready:
                questions.trend(branch, tensors, history.anchors[-1].tensors, self._position - history.newest)
        history.add(Anchor(self._position, self._stored(tensors)), self._keep)

    def most_held(self, anchors: int, answer: int, direction: int) -> tuple[int, int]:
        """How many bytes anchors, and corrector and stabilizer, will hold at most.

        anchors: bytes of one anchor in each history. answer: of those that are there before the first of them takes
        the place of an older one. direction: of a guided direction.
        """
        if not self._pace.may_forecast_after(0):
            return 0, 0
        held = self._keep * anchors + self._hindsight * answer  # compared with its forecast before one is dropped
        both = self._corrector is not None and self._trust is not None  # they share the newest direction
        directions = 3 * (self._corrector is not None) + 2 * (self._trust is not None) - both
        return held, directions * direction

    def wants_direction(self, was_forecast: bool) -> bool:
        """Whether ``follow``, or else ``correct``, has anything to do with the direction of this evaluation."""
        if was_forecast:
            return self._corrector is not None
        if self._corrector is not None and self._corrector.pending:
            return True
        return self.wants_anchors and (self._corrector is not None or self._trust is not None)

    def follow(self, x: Tensor, denoised: Tensor) -> None:
        """Note where the sampler goes, after guidance, with a denoised image of which any part was forecast."""
        if self._corrector is not None:
            self._corrector.forecast(self._step, x, denoised, self.sigma)

    def correct(self, direction: Tensor) -> Tensor | None:
        """What to add to the guided direction that the sampler just got, None if there is nothing to undo.

        direction: (x - denoised) / sigma after guidance, all of it computed; it becomes the session's own. Where it is
        0 because the latent is not sampled, what is returned means nothing.
        """
        if self._trust is not None:
            self._trust.computed(self._position, direction)
        if self._corrector is None:
            return None
        return self._corrector.computed(self._step, direction, self._trend)

    def corrected(self) -> None:
        """Note that what ``correct`` returned was added."""
        self._timeline.mark_corrected()

    def give_up(self) -> bool:
        """For want of memory, drop every tensor and compute every step from here on; False if that was so before."""
        every = Plan(frozenset(range(self.total)))
        if self.plan.controller is None and self.plan.computed >= every.computed:
            return False
        self._histories.clear()
        self._corrector = self._trust = None
        self.plan, self._pace, self._compute = every, Pace(every, self.total), True
        at = f"memory ran out at step {max(0, self._step)}"
        return self.say_once(f"{at}: what was kept is dropped, and every step from there on computed")

    def compute_instead(self) -> None:
        """Note that this evaluation is computed after all, after ``give_up``."""
        self._timeline.mark("computed")

    @property
    def ends_here(self) -> bool:
        """Whether this step leads to noise level 0, so that its denoised image is the result."""
        return self._step + 1 >= len(self._sigmas) or self._sigmas[self._step + 1] <= 0.0

    def say_once(self, message: str) -> bool:
        """Keep a message for the report; True the first time."""
        if message in self._messages:
            return False
        self._messages.append(message)
        return True

    def finish(self) -> RunReport:
        """End the run: drop every tensor and return the report."""
        self._histories.clear()
        self._corrector = self._trust = None
        evaluations = self._timeline.close()
        messages = (*self._messages, *self._timeline.refusals)
        return RunReport(evaluations, self._bytes_held, messages, device=", ".join(sorted(self._held_on)))

    def _note_bytes(self, *new: Tensors) -> None:
        """Beside what is stored."""
        size = sum(tensor.nbytes for tensors in new for tensor in tensors.values())
        self._bytes_held = max(self._bytes_held, self._nbytes() + size)

    def _nbytes(self) -> int:
        guided = (t for held in (self._corrector, self._trust) if held is not None for t in held.tensors)
        stored = (t for h in self._histories.values() for anchor in h.anchors for t in anchor.tensors.values())
        return sum({id(t): t.nbytes for t in (*guided, *stored)}.values())

    def _stored(self, tensors: Tensors) -> Tensors:
        if self.storage is not None:
            tensors = {slot: tensor.to(self.storage) for slot, tensor in tensors.items()}
        self._held_on |= {str(tensor.device) for tensor in tensors.values()}
        return tensors

    @property
    def _trend(self) -> Trend:
        return self._trust.trend if self._trust is not None else self._untold

    def _series(self, history: History, signature: Hashable) -> tuple[Series | None, str]:
        """The forecasts of a branch, and why they must not be used, if so."""
        if len(history.anchors) < min(self._settings.warmup_steps, self._keep):
            return None, "too few computed evaluations to forecast from"
        if history.signature != signature:
            return None, "the conditions or the latent changed"
        series = history.series(self._position, BASES[self._settings.basis], self._options, self._trend.shares)
        if series.bound > self._settings.explosion_limit:
            return None, "the forecast could explode"
        return series, ""

    def _history(self, key: Key, signature: Hashable) -> History:
        """The history that an anchor with this signature continues, or a new one."""
        history = self._histories.get(key)
        if history is None or history.signature != signature:
            history = self._histories[key] = History(signature)
        return history
