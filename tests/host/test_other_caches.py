"""Other caches in the chain: one of them wins by the rule of docs/other_caches.md, and the report says so once."""

import importlib.util
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from comfy_extras.nodes_easycache import EasyCacheNode, LazyCacheNode
from small_models.sampling import sample

from hicache_comfy import attach, last_report
from hicache_core import presets

REPO = Path(__file__).parents[2]
NODES = {"EasyCache": EasyCacheNode, "LazyCache": LazyCacheNode}
SETTINGS = {level: replace(presets.speed(2.0), level=level) for level in ("output", "module")}
TWICE = "two HiCache patches follow each other: the one nearest to the sampler counts; remove the other"


def other_cache(name, model):
    return NODES[name].execute(model, 0.2, 0.15, 0.95, False).result[0]


def run(model, job, counter):
    """(latent, calls of the network)"""
    with counter.during():
        return sample(model, job), counter.count


@pytest.mark.parametrize("level", SETTINGS)
@pytest.mark.parametrize("name", NODES)
def test_the_hosts_own_caches_win(flux, job, network_calls, name, level):
    expected, calls = run(other_cache(name, flux), job, network_calls)
    assert calls < job.steps
    before = other_cache(name, attach(flux, SETTINGS[level]))
    after = attach(other_cache(name, flux), SETTINGS[level])
    for patched in (before, after):
        output, counted = run(patched, job, network_calls)
        assert torch.equal(output, expected)
        assert counted == calls
        report = last_report(patched)
        assert report.messages == (f"HiCache does nothing, because {name} is on the same model; bypass one of the two",)
        assert (report.forecasts, report.bytes_held) == (0, 0)


@pytest.mark.parametrize("name", NODES)
def test_on_parallel_branches_nobody_stands_down(flux, job, network_calls, name):
    ours, theirs = attach(flux, SETTINGS["output"]), other_cache(name, flux)
    alone = run(attach(flux, SETTINGS["output"]), job, network_calls), run(other_cache(name, flux), job, network_calls)
    for _ in range(2):
        for patched, (expected, calls) in zip((ours, theirs), alone, strict=True):
            output, counted = run(patched, job, network_calls)
            assert torch.equal(output, expected)
            assert counted == calls
    assert last_report(ours).messages == ()


@pytest.mark.parametrize(("first", "second"), [("output", "module"), ("module", "output")])
def test_of_two_patches_the_one_nearest_to_the_sampler_counts(flux, job, first, second):
    again = attach(attach(flux, presets.paper(7)), SETTINGS[first])
    patched = attach(again, SETTINGS[second])
    assert torch.equal(sample(patched, job), sample(attach(flux, SETTINGS[second]), job))
    assert last_report(patched).messages == (TWICE,)
    assert torch.equal(sample(again, job), sample(attach(flux, SETTINGS[first]), job))


def test_patches_on_parallel_branches_are_not_said_to_follow_each_other(flux, job):
    one, other = attach(flux, presets.speed(2.0)), attach(flux, presets.speed(4.0))
    for patched in (one, other, one):
        sample(patched, job)
        assert last_report(patched).messages == ()


@pytest.fixture
def second_copy(tmp_path, monkeypatch):
    """``hicache_comfy`` of the pack installed a second time, in a folder "HiCache-copy", as the host imports it."""
    folder = tmp_path / "HiCache-copy"
    for package in ("hicache_core", "hicache_comfy"):
        shutil.copytree(REPO / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "__init__.py").touch()
    before = set(sys.modules)
    spec = importlib.util.spec_from_file_location(
        "second_copy", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    sys.modules["second_copy"] = importlib.util.module_from_spec(spec)
    yield importlib.import_module("second_copy.hicache_comfy"), importlib.import_module("second_copy.hicache_core")
    for name in set(sys.modules) - before:
        if name.startswith("second_copy"):
            del sys.modules[name]


@pytest.mark.parametrize("level", SETTINGS)
def test_another_copy_of_the_pack(flux, job, second_copy, level):
    comfy_copy, core_copy = second_copy
    theirs = replace(core_copy.presets.speed(4.0), level="module")
    expected = sample(attach(flux, SETTINGS[level]), job)
    patched = attach(comfy_copy.attach(flux, theirs), SETTINGS[level])
    assert torch.equal(sample(patched, job), expected)
    (message,) = last_report(patched).messages
    assert message == (
        f"HiCache is installed twice, in the folders HiCache-copy and {REPO.name}: "
        "the patch nearest to the sampler counts; remove one of the folders"
    )
    assert comfy_copy.last_report(patched) is None

    reverse = comfy_copy.attach(attach(flux, SETTINGS[level]), theirs)
    assert torch.equal(sample(reverse, job), sample(comfy_copy.attach(flux, theirs), job))
    (message,) = comfy_copy.last_report(reverse).messages
    assert f"in the folders {REPO.name} and HiCache-copy: " in message
    assert last_report(reverse) is None


def test_a_version_that_wrapped_more_leaves_nothing_behind(flux, job):
    seen, older = [], attach(flux, presets.speed(8.0))
    for kind in ("diffusion_model", "prepare_sampling"):
        older.add_wrapper_with_key(kind, "hicache", lambda executor, *a, **k: seen.append(1) or executor(*a, **k))
    patched = attach(older, presets.speed(2.0))
    assert torch.equal(sample(patched, job), sample(attach(flux, presets.speed(2.0)), job))
    assert seen == []


def test_what_another_pack_left_under_our_name_is_replaced(flux, job):
    odd = flux.clone()
    odd.set_attachments("hicache", {"steps": 3})
    patched = attach(odd, presets.speed(2.0))
    sample(patched, job)
    assert "in the folders builtins and" in last_report(patched).messages[0]
