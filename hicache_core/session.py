"""One sampling run: where it stands, what it decided, what it remembers. Built anew for every run, never reset."""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from .basis import ANALYTIC, BASES, BasisOptions
from .density import FLOOR
from .directions import GuidedDirections
from .guidance import Guidance
from .history import Anchor, Histories, History, Series, Slot
from .linear_sampler import LinearSampler
from .measure import Questions
from .pace import Pace
from .report import RunReport
from .schedule import POLICIES, Plan
from .settings import Settings
from .steps import StepCursor, step_range
from .timeline import Timeline
from .trust import FULL, NONE

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
    sampler      what the sampler makes of what it is handed, for the corrector; None: it is not used
    smooth       whether the sampler adds no noise, so that the trend of its directions means something; where it adds
                 some, forecasts had better follow none
    flow         whether noise replaces the picture instead of being added to it (density.py)
    floor        the signal at which structure is decided, where the settings do not say (density.py)
    hindsight    compare what is computed with what would have been forecast, as adaptive schedules always do
    timeline     keeps the evaluations; its own, if it shall tell a listener of them

    ``sigma`` and ``position`` are of the last evaluation; ``evaluations`` counts them, ``forecasts`` those that were
    forecast. ``storage`` is the device that keeps the anchors, None: each where it was computed; it may
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
        sampler: LinearSampler | None = None,
        smooth: bool = True,
        flow: bool = True,
        floor: float = FLOOR,
        hindsight: bool = False,
        timeline: Timeline | None = None,
    ) -> None:
        self.floor = settings.signal_floor or floor
        span = step_range(sigmas, start_sigma, end_sigma, flow, self.floor)
        self._settings = settings
        self.total = span.total
        self._sigmas = sigmas
        untold = NONE if settings.stabilizer else FULL
        corrected = sampler if settings.corrector else None
        self._anew = partial(GuidedDirections, sigmas, corrected, smooth and settings.stabilizer, untold)
        self._directions = self._anew()
        self.plan = POLICIES[settings.schedule](settings, span)
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
        self.position = -1.0
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
            self._directions = self._anew()
            self._pace = Pace(self.plan, self.total)
        if rose or position != self.position:
            self._ordinals.clear()
        if rose or math.floor(position) != self._step:
            self._step = math.floor(position)
            self._compute = self._pace.must_compute(self._step)
        self.position, self.sigma = position, sigma
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
                    self._histories[key, branch].make_room(self.position, self._keep)

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
        self._histories.forget_abandoned(self.position)
        error = max((error for by_slot in errors.values() for error in by_slot.values()), default=None)
        self._pace.computed(self._step, error)
        self._timeline.mark_error(error)

    def _take(self, branch: Branch, history: History, answer: Answer, questions: Questions[Branch]) -> None:
        """Ask what must be known of computed tensors, and make an anchor of them whose magnitudes are not known yet."""
        tensors = answer() if callable(answer) else answer
        self._note_bytes(tensors)
        questions.magnitude(branch, tensors)
        if history.continues(tensors) and history.newest < self.position:
            series, _ = self._series(history, history.signature) if self._hindsight else (None, "")
            if series is not None:  # what would have been forecast here?
                questions.error(branch, tensors, series)
            if self._settings.basis == ANALYTIC and self.position >= self._options.first_ready:
                questions.trend(branch, tensors, history.anchors[-1].tensors, self.position - history.newest)
        history.add(Anchor(self.position, self._stored(tensors)), self._keep)

    def most_held(self, anchors: int, answer: int, direction: int) -> tuple[int, int]:
        """How many bytes anchors, and corrector and stabilizer, will hold at most.

        anchors: bytes of one anchor in each history. answer: of those that are there before the first of them takes
        the place of an older one. direction: of a guided direction.
        """
        if not self._pace.may_forecast_after(0):
            return 0, 0
        held = self._keep * anchors + self._hindsight * answer  # compared with its forecast before one is dropped
        return held, self._directions.most_held * direction

    def wants_direction(self, was_forecast: bool) -> bool:
        """Whether ``follow``, or else ``correct``, has anything to do with the direction of this evaluation."""
        if was_forecast:
            return self._directions.corrects
        return self._directions.pending or (self.wants_anchors and bool(self._directions))

    def follow(self, position: float, x: Tensor, denoised: Tensor, sigma: float, guidance: Guidance) -> Tensor | None:
        """Note where a forecast leads, after guidance; what to add to the denoised image, None for nothing.

        position, sigma: of the evaluation that guidance began with.
        """
        return self._directions.follow(position, x, denoised, sigma, guidance)

    def correct(self, position: float, direction: Tensor, guidance: Guidance) -> Tensor | None:
        """What to add to the guided denoised image that the sampler just got, None if there is nothing to undo.

        direction: (x - denoised) / sigma after guidance, all of it computed; it becomes the session's own.
        """
        return self._directions.correct(position, direction, guidance)

    def stop_correcting(self, reason: str) -> None:
        """For the rest of the run: directions of this evaluation and of others cannot be told apart."""
        if self._directions and self.say_once(reason):
            self._drop_directions()

    def _drop_directions(self) -> None:
        self._anew = partial(GuidedDirections, self._sigmas, None, False, NONE if self._settings.stabilizer else FULL)
        self._directions = self._anew()

    def corrected(self) -> None:
        """Note that what ``correct`` returned was added."""
        self._timeline.mark_corrected()

    def give_up(self) -> bool:
        """For want of memory, drop every tensor and compute every step from here on; False if that was so before."""
        every = Plan(frozenset(range(self.total)))
        if self.plan.controller is None and self.plan.computed >= every.computed:
            return False
        self._histories.clear()
        self._drop_directions()
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
        self._drop_directions()
        evaluations = self._timeline.close()
        messages = (*self._messages, *self._timeline.refusals)
        device = ", ".join(sorted(self._held_on))
        return RunReport(evaluations, self._bytes_held, messages, device=device, signal_floor=self.floor)

    def _note_bytes(self, *new: Tensors) -> None:
        """Beside what is stored."""
        stored = (t for h in self._histories.values() for anchor in h.anchors for t in anchor.tensors.values())
        held = {id(t): t.nbytes for t in (*self._directions.tensors, *stored)}
        size = sum(tensor.nbytes for tensors in new for tensor in tensors.values())
        self._bytes_held = max(self._bytes_held, sum(held.values()) + size)

    def _stored(self, tensors: Tensors) -> Tensors:
        if self.storage is not None:
            tensors = {slot: tensor.to(self.storage) for slot, tensor in tensors.items()}
        self._held_on |= {str(tensor.device) for tensor in tensors.values()}
        return tensors

    def _series(self, history: History, signature: Hashable) -> tuple[Series | None, str]:
        """The forecasts of a branch, and why they must not be used, if so."""
        if len(history.anchors) < min(self._settings.warmup_steps, self._keep):
            return None, "too few computed evaluations to forecast from"
        if history.signature != signature:
            return None, "the conditions or the latent changed"
        series = history.series(
            self.position, BASES[self._settings.basis], self._options, self._directions.trend.shares
        )
        if series.bound > self._settings.explosion_limit:
            return None, "the forecast could explode"
        return series, ""

    def _history(self, key: Key, signature: Hashable) -> History:
        """The history that an anchor with this signature continues, or a new one."""
        history = self._histories.get(key)
        if history is None or history.signature != signature:
            history = self._histories[key] = History(signature)
        return history
