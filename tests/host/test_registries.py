"""A basis, a schedule and an architecture are each one function or row in one file: toys, added here and used."""

from dataclasses import replace

from comfy.ldm.flux.model import Flux
from small_models.sampling import sample

from hicache_comfy import attach, last_report
from hicache_comfy.architectures import ARCHITECTURES, FLUX, name_of
from hicache_core import presets


def choices(node, widget):
    (found,) = (one for one in node.define_schema().inputs if one.id == widget)
    return found.options, found.tooltip


def test_a_toy_basis_is_offered_and_used(pack, monkeypatch, flux, job):
    basis, nodes = pack.hicache_core.basis, pack.nodes.settings
    asked = []

    def oldest(positions, target, options):
        asked.append(target)
        return [1.0, *[0.0] * (len(positions) - 1)]

    monkeypatch.setitem(basis.BASES, "toy", basis.Basis(oldest, "the oldest anchor", window=3))
    options, tooltip = choices(nodes.HiCacheSettings, "basis")
    assert options[-1] == "toy"
    assert "toy: the oldest anchor." in tooltip
    assert nodes.complaint(basis="toy") is True

    (settings,) = nodes.HiCacheSettings.execute(basis="toy").args
    patch = pack.nodes.patch_model.HiCachePatchModel
    (patched,) = patch.execute(flux, "even intervals", 2.0, 0.01, settings).args
    sample(patched, job)
    # Every forecast, and from the second anchor on what would have been forecast at computed steps.
    assert asked == [float(k) for k in range(1, job.steps)]


def test_a_toy_schedule_is_offered_and_used(pack, monkeypatch, flux, job, network_calls):
    schedule, patch = pack.hicache_core.schedule, pack.nodes.patch_model.HiCachePatchModel

    def squares(settings, steps):
        return schedule.Plan(frozenset(k * k for k in range(steps.total) if k * k < steps.total))

    monkeypatch.setitem(schedule.POLICIES, "squares", schedule.Policy(squares, "toy", "computes steps 0, 1, 4, 9"))
    options, tooltip = choices(patch, "mode")
    assert "toy" in options
    assert "toy: computes steps 0, 1, 4, 9." in tooltip

    (patched,) = patch.execute(flux, "toy", 2.0, 0.01).args
    with network_calls.during():
        sample(patched, job)
    assert network_calls.count == 4  # of 16 steps: 0, 1, 4, 9


def test_a_toy_architecture_needs_a_row_and_nothing_else(monkeypatch, flux, job):
    class Toy(Flux):
        pass

    monkeypatch.setattr(flux.model.diffusion_model, "__class__", Toy)
    settings = replace(presets.paper(3), level="block")

    def run():
        patched = attach(flux, settings)
        sample(patched, job)
        return last_report(patched)

    (message,) = run().messages
    assert "Toy" in message
    monkeypatch.setitem(ARCHITECTURES, name_of(Toy), replace(FLUX, name="Toy"))
    assert run().messages == ()
