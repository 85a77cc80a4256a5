"""Everything that benchmarks measure on is built, and sampled by the host."""

from pathlib import Path

import pytest
from small_models import sampling


@pytest.fixture(autouse=True)
def _benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")


SPLITS = pytest.mark.parametrize("split", ["train", "test"])


@pytest.mark.filterwarnings("ignore:Should have:UserWarning")  # torchsde, about the last bit of a noise level
@SPLITS
def test_every_subject_is_sampled_by_the_host(split):
    import harness
    from subjects import SUBJECTS

    names = set()
    for build in SUBJECTS.values():
        subject = build(split)
        names.add(subject.name)
        work = subject.jobs(2, steps=2)
        assert len({job.seed for job in subject.jobs(5)}) == 5
        assert {name: getattr(work[0], name) for name in subject.usual} == subject.usual
        with harness.counted_calls(subject.model) as calls:
            latents = subject.together(subject.model, work[:1])
        assert calls == [2], subject.name
        assert latents.isfinite().all()
        if subject.decode is not None:
            assert subject.decode(latents).shape[0] == 1
    assert len(names) == len(SUBJECTS)


def test_splits_differ_in_more_than_the_seed():
    from subjects import SUBJECTS

    (one, other) = (SUBJECTS["mixture_16"](split).model.model.diffusion_model.mixture for split in ("train", "test"))
    assert one.slope != other.slope
    assert one.seed != other.seed


def test_options_go_before_the_usual_way():
    import harness
    from subjects import subject_of

    parser = harness.option_parser("")
    usual = parser.parse_args(["--model", "sdxl", "--pictures", "2"])
    subject = subject_of(usual)
    (job, _) = harness.work_of(usual, subject)
    assert (job.steps, job.sampler, job.scheduler, job.cfg) == (50, "dpmpp_2m_sde", "karras", 6.0)
    own = parser.parse_args("--model sdxl --sampler euler --scheduler normal --cfg 1 --steps 9".split())
    job = harness.work_of(own, subject)[0]
    assert (job.steps, job.sampler, job.scheduler, job.cfg) == (9, "euler", "normal", 1.0)
    assert "Small sdxl, test split, 9 steps of euler, scheduler normal, CFG 1, 16 pictures" in harness.heading(
        own, subject
    )


@pytest.mark.parametrize(("name", "pictures"), [("mixture_16", 0), ("flux", 2), ("wan", 2)])
def test_pictures_are_compared_where_there_are_any(name, pictures):
    import harness
    from subjects import SUBJECTS

    subject = SUBJECTS[name]("test")
    work = subject.jobs(2, steps=2)
    row = harness.measure(harness.fewer_steps("euler", 1), subject, work, harness.full_runs(subject, work))
    assert [len(values) for values in (row.latent, row.picture, row.ssim, row.converged)] == [2, pictures, pictures, 0]
    assert row.calls == 1


def test_the_automatic_floor_is_that_of_the_runs():
    import harness
    from subjects import SUBJECTS

    small, large = (harness.automatic_floor(SUBJECTS[name]("test")) for name in ("mixture_16", "mixture_256"))
    assert 0.0 < large < small


def test_the_small_models_have_a_subject_each():
    from subjects import SUBJECTS, TRAINED

    assert TRAINED.keys() == sampling.USUAL.keys()
    assert TRAINED.keys() <= SUBJECTS.keys()
