"""Every benchmark of pictures runs on a subject that has none, and says what it sampled."""

import importlib
import sys
from pathlib import Path

import pytest
from small_models import host  # noqa: F401  here, or its change of sys.path would be undone with ours

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
FEW = ("--pictures", "2", "--steps", "12")
MIXTURE = ("--model", "mixture_16", *FEW)
SAMPLED = "Flow mixture 16x16, test split, 12 steps of {}, scheduler simple, CFG {}, 2 pictures"


@pytest.fixture
def page(monkeypatch, tmp_path, capsys):
    """A function that runs a benchmark: the page that it writes."""
    monkeypatch.syspath_prepend(BENCHMARKS)

    def run(name, *words):
        out = tmp_path / f"{name}.md"
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *words, "--out", str(out)])
        module = importlib.import_module(name)
        monkeypatch.setattr(module, "CONVERGED", 10, raising=False)
        module.main()
        capsys.readouterr()
        return out.read_text("utf-8")

    return run


def test_adaptive(page, tmp_path):
    text = page("adaptive", *MIXTURE)
    assert text.startswith(SAMPLED.format("euler", 1))
    assert (tmp_path / "adaptive.png").exists()


def test_guidance(page):
    text = page("guidance", *MIXTURE, "--cfg", "3")
    assert text.startswith(SAMPLED.format("euler", 3))
    assert text.count("\n| inpainting, half masked | ") == 2


def test_samplers(page):
    text = page("samplers", *MIXTURE, "--samplers", "res_multistep", "heun")
    assert text.startswith(SAMPLED.format("each sampler", 1))
    assert "\n| heun | 2.5 | " in text


def test_settings_of_levels_are_only_for_models_with_levels(page):
    assert "\n| level " not in page("settings", *MIXTURE)
    assert "\n| level module | " in page("settings", "--pictures", "1", "--steps", "8", "--split", "train")


def test_fidelity_without_pictures(page):
    text = page("fidelity", *MIXTURE, "--sampler", "dpmpp_2m")
    assert text.startswith(SAMPLED.format("dpmpp_2m", 1))
    assert "| latent, dB | latent to the converged solution, dB |\n" in text
    assert "as published |" in text
    assert "\n| as published | " not in text


def test_fidelity_of_videos(page):
    text = page("fidelity", "--model", "wan", "--pictures", "1", "--steps", "6", "--cfg", "1")
    assert "| latent, dB | picture, dB | SSIM | latent to the converged solution, dB |\n" in text
    assert "\n| as published | HiCache, N 3" in text


def test_levels(page):
    cells = [line.split(" | ") for line in page("levels", "--only", "wan", "--pictures", "1").splitlines()]
    sizes = [row[3:5] for row in cells if row[0] == "| Small wan, CFG 5"]
    assert len(sizes) == 4
    assert [found for _, found in sizes] == [formula for formula, _ in sizes]
