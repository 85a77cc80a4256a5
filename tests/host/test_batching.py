"""However the host groups conditions into calls of the network, the decisions and the histories are the same."""

import math
from dataclasses import replace

import pytest
import torch
from small_models.sampling import jobs, sample

from hicache_comfy import attach, last_report
from hicache_core import LEVELS, presets

BLOCK_LEVELS = LEVELS[1:]


def settings(level):
    return replace(presets.paper(3), level=level)


@pytest.fixture
def guided():
    return replace(jobs("train", 1)[0], cfg=4.0, steps=20)


class Batching:
    """Makes the host believe that two conditions do not fit into memory together, at the evaluations that ``apart``
    says, and notes the batch sizes that reach the network and the histories that the run keeps."""

    def __init__(self, model, monkeypatch, apart):
        self.batches, self.keys, self._calls, self._together = [], [], 0, True
        original = model.model.memory_required
        monkeypatch.setattr(
            model.model, "memory_required", lambda *a, **k: original(*a, **k) if self._together else math.inf
        )
        self._apart = apart

    def watch(self, model):
        model.add_wrapper_with_key("calc_cond_batch", "batching", self._evaluate)
        model.add_wrapper_with_key("apply_model", "batching", self._note)
        return model

    def _evaluate(self, executor, *args, **kwargs):
        self._together = not self._apart(self._calls)
        self._calls += 1
        run = args[4]["transformer_options"].get("hicache")
        result = executor(*args, **kwargs)
        if run is not None:
            uuids = {c["uuid"]: f"cond {i}" for i, cond in enumerate(args[1]) for c in cond}
            branches = {branch: len(history.anchors) for (_, branch), history in run.session._histories.items()}
            self.keys.append(sorted((b if isinstance(b, int) else (b[0], uuids[b[1]]), n) for b, n in branches.items()))
        return result

    def _note(self, executor, x, *args, **kwargs):
        self.batches.append(x.shape[0])
        return executor(x, *args, **kwargs)


GROUPINGS = {"together": lambda k: False, "apart": lambda k: True, "changing": lambda k: k % 2 == 0}


def grouped(model, job, monkeypatch, grouping, level=None):
    """(latent, Batching, report) of a run with the host's grouping forced."""
    with monkeypatch.context() as patch:
        batching = Batching(model, patch, GROUPINGS[grouping])
        patched = batching.watch(attach(model, settings(level)) if level else model.clone())
        output = sample(patched, job)
    return output, batching, last_report(patched)


@pytest.mark.parametrize("level", BLOCK_LEVELS)
def test_decisions_and_histories_do_not_depend_on_the_grouping(qwen_image, guided, monkeypatch, level):
    runs = {g: grouped(qwen_image, guided, monkeypatch, g, level) for g in GROUPINGS}
    assert set(runs["together"][1].batches) == {2}
    assert set(runs["apart"][1].batches) == {1}
    assert set(runs["changing"][1].batches) == {1, 2}
    actions = [[e.action for e in report.evaluations] for _, _, report in runs.values()]
    assert actions[0] == actions[1] == actions[2]
    assert actions[0].count("forecast") == 12
    keys = [batching.keys for _, batching, _ in runs.values()]
    assert keys[0] == keys[1] == keys[2]
    assert runs["together"][2].bytes_held == runs["apart"][2].bytes_held == runs["changing"][2].bytes_held


@pytest.mark.newest
def test_pictures_differ_by_no_more_than_twice_the_hosts_own(qwen_image, guided, monkeypatch):
    """The host itself is not bit-identical between batches of one and two, and a forecast multiplies rounding by the
    sum of its absolute weights; with this schedule that stays within a factor of two."""

    def distance(a, b):
        return float((a - b).norm())

    job = replace(guided, steps=50)
    plain = {g: grouped(qwen_image, job, monkeypatch, g)[0] for g in GROUPINGS}
    allowed = 2.0 * max(distance(plain["together"], plain[g]) for g in ("apart", "changing"))
    for level in BLOCK_LEVELS:
        cached = {g: grouped(qwen_image, job, monkeypatch, g, level)[0] for g in GROUPINGS}
        for grouping in ("apart", "changing"):
            assert 0.0 < distance(cached["together"], cached[grouping]) <= allowed, (level, grouping)
            again, _, _ = grouped(qwen_image, job, monkeypatch, grouping, level)
            assert torch.equal(again, cached[grouping]), (level, grouping)
