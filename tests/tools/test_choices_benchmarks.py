"""The benchmarks that ours was chosen with: what they vary, and that they leave nothing varied behind."""

from pathlib import Path

import pytest
import torch
from small_models import host  # noqa: F401  first: makes `comfy` importable

from hicache_comfy import attach
from hicache_core import corrector, presets, trust


@pytest.fixture(autouse=True)
def _benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")


@pytest.fixture
def subject():
    from subjects import SUBJECTS

    return SUBJECTS["mixture_16"]("train")


@pytest.mark.filterwarnings("ignore:Should have:UserWarning")  # torchsde, about the last bit of a noise level
@pytest.mark.parametrize("name", ["mixture_16", "epsilon_mixture_64", "sdxl"])
def test_the_shipped_density_plans_what_target_speed_computes(name):
    import density
    from harness import automatic_floor
    from subjects import SUBJECTS

    from hicache_comfy import last_report

    subject = SUBJECTS[name]("train")
    flow, floor = not name.startswith(("epsilon", "sdxl")), automatic_floor(subject)
    sigmas = density.noise_levels(subject, 20)
    plan = density.planned(density.WAYS[density.SHIPPED](sigmas, flow, floor), 8)
    patched = attach(subject.model, presets.speed(20 / 8))
    subject.together(patched, subject.jobs(1, steps=20, sampler="euler"))
    assert tuple(e.step for e in last_report(patched).evaluations if e.action == "computed") == plan.steps
    others = {density.planned(way(sigmas, flow, floor), 8).steps for way in density.WAYS.values()}
    assert len(others) > 2  # where noise is added there is no floor to multiply


def test_a_page_of_densities_names_the_best_on_train(monkeypatch, tmp_path, capsys):
    import density

    monkeypatch.setattr(density, "RUNS", {12: (6,)})
    monkeypatch.setattr(density, "in_processes", lambda work, names, _, *rest: [work(name, *rest) for name in names])
    out = tmp_path / "density.md"
    monkeypatch.setattr("sys.argv", ["density.py", "--only", "mixture_16", "--pictures", "2", "--out", str(out)])
    density.main()
    capsys.readouterr()
    page = out.read_text("utf-8")
    assert f"| **{density.SHIPPED}** | +0.0 (+0.0) | +0.0 (+0.0) | +0.0 (+0.0) |" in page
    assert len(out.with_suffix(".csv").read_text("utf-8").splitlines()) == 1 + 2 * len(density.WAYS)


def test_every_constant_has_its_shipped_value_among_those_tried():
    import constants

    for constant in constants.CONSTANTS:
        assert constant.shipped in constant.values, constant.name


def test_a_constant_is_changed_and_put_back(subject):
    """It changes what is sampled with a smooth path, or where strong guidance lets slopes alternate."""
    import constants
    from subjects import SUBJECTS

    work = [(one, one.jobs(2, steps=12)) for one in (subject, SUBJECTS["qwen_image"]("train"))]

    def sampled():
        return [one.together(attach(one.model, presets.speed(2.0)), jobs) for one, jobs in work]

    def values():
        return corrector.RESPONSE, trust._share, trust.Trend.undo, trust.ALTERNATION, trust.DOUBT

    shipped, before = sampled(), values()
    for choice, use in constants.tried():
        with use():
            assert not all(map(torch.equal, sampled(), shipped)), choice
        assert values() == before
    assert all(map(torch.equal, sampled(), shipped))


def test_what_is_known_is_as_it_was():
    import constants

    ratios = (-0.5, 0.3, 0.7, float("nan"))
    shares = [trust._share(r) for r in ratios]
    with constants.share_of_unknown(0.5):
        assert [*map(trust._share, ratios)] == shares
        assert trust._share(None) == 0.5
    with constants.largest_share(0.6):
        assert [*map(trust._share, (*ratios, None))] == [*(min(0.6, share) for share in shares), 0.0]
    with constants.undo_of_unknown(0.5):
        assert trust.Trend((None, None, -0.5, 0.7), (0.2, 0.8, 0.2, 0.8)).undo == pytest.approx((0.5, 0.4, 4 / 9, 0.4))
