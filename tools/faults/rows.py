"""The faults: when each can strike, how it is made to, and what the run must do then."""

import math
import re
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from .allocations import first_times, last_times, of_cpu, of_gpu
from .setups import Stand
from .strikes import (
    Broken,
    Elsewhere,
    allocations,
    crop,
    evaluations,
    interrupt,
    latent_changes,
    listener_fails,
    network_calls,
    network_never_fits,
    network_raises,
    network_returns,
    pad,
    refused,
    steps,
)

import comfy.model_management as host  # isort: skip
from hicache_core import RunReport  # isort: skip


@dataclass(frozen=True)
class Fault:
    """One row of the matrix.

    about    what the run must do, for the page
    moments  (stand, whether to try all) -> when it can strike
    strike   (stand, moment) -> the context of a run that it strikes; gives further arguments of the run
    ends     the error that the run ends with, None if it must go on
    law      (what the run gave, its report, stand, moment) -> None, of a run that goes on
    """

    name: str
    about: str
    moments: Callable[[Stand, bool], Iterable[int]]
    strike: Callable[[Stand, int], AbstractContextManager[dict[str, Any]]]
    ends: type[BaseException] | None = None
    law: "Law | None" = None


Law = Callable[[Tensor, RunReport, Stand, int], None]


# --- the laws of single faults ---


def gave_up(result: Tensor, report: RunReport, stand: Stand, moment: int) -> None:
    """One sentence, and every step computed from there on."""
    assert result.isfinite().all(), "the picture is lost"
    (said,) = [message for message in report.messages if "memory" in message]
    (step,) = re.findall(r"memory ran out at step (\d+): ", said)
    assert all(e.action == "computed" for e in report.evaluations if e.step > int(step)), "it went on forecasting"


def not_hidden(result: Tensor, report: RunReport, stand: Stand, moment: int) -> None:
    assert not result.isfinite().all(), "a broken picture looks like a sound one"


def computed_there(result: Tensor, report: RunReport, stand: Stand, moment: int) -> None:
    assert result.isfinite().all()
    assert report.evaluations[moment].action != "forecast", "a forecast was carried across the change"


def unseen(result: Tensor, report: RunReport, stand: Stand, moment: int) -> None:
    assert torch.equal(result, stand.expected), "the picture is another one"


FAULTS = (
    Fault(
        "the network raises",
        "the error reaches the host",
        network_calls,
        partial(network_raises, partial(Broken, "the network failed")),
        ends=Broken,
    ),
    Fault(
        "the network runs out of memory once",
        "what was kept is dropped, the step is computed once more, and so are all after it",
        network_calls,
        partial(network_raises, of_gpu),
        law=gave_up,
    ),
    Fault(
        "the network runs out of memory for good",
        "the same, and then the host's own error reaches the host",
        network_calls,
        network_never_fits,
        ends=torch.OutOfMemoryError,
    ),
    Fault(
        "no memory on the GPU for what HiCache wants",
        "what was kept is dropped, that step is computed, and so are all after it",
        partial(allocations, first_times),
        partial(refused, of_gpu),
        law=gave_up,
    ),
    Fault(
        "no main memory for what HiCache wants",
        "the same",
        partial(allocations, last_times),
        partial(refused, of_cpu),
        law=gave_up,
    ),
    Fault(
        "interrupt", "the host's interrupt reaches the host", steps, interrupt, ends=host.InterruptProcessingException
    ),
    Fault(
        "the network returns NaN",
        "it is never kept, and the result shows it, as without HiCache",
        network_calls,
        partial(network_returns, math.nan),
        law=not_hidden,
    ),
    Fault(
        "the network returns infinity",
        "the same",
        network_calls,
        partial(network_returns, math.inf),
        law=not_hidden,
    ),
    Fault(
        "the shape of the latent changes",
        "that evaluation is computed, and nothing stored is used for it",
        evaluations,
        partial(latent_changes, crop, pad),
        law=computed_there,
    ),
    Fault(
        "its dtype changes",
        "the same",
        evaluations,
        partial(latent_changes, Tensor.double, lambda answer, x: answer.to(x.dtype)),
        law=computed_there,
    ),
    Fault(
        "its device changes",
        "the same",
        evaluations,
        partial(latent_changes, lambda x: x.as_subclass(Elsewhere), lambda answer, x: answer.as_subclass(Tensor)),
        law=computed_there,
    ),
    Fault(
        "a listener fails",
        "the picture is not affected",
        lambda stand, every: range(len(stand.report.evaluations) + 2),
        listener_fails,
        law=unseen,
    ),
)
