"""The benchmark of real sizes, as far as a CPU can tell: its networks, its pack, its table."""

import json
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from small_models import host  # noqa: F401  here, or its change of sys.path would be undone with ours

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def _benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)


@pytest.mark.parametrize(("name", "billions"), [("FLUX.1 dev", 11.9), ("Qwen-Image", 20.4), ("Wan 2.1", 1.42)])
def test_the_networks_have_their_real_size(name, billions):
    import full_size

    (row, *_) = (subject.row for subject in full_size.FULL if subject.row.name.startswith(name))
    config = getattr(full_size.comfy.supported_models, row.config)(dict(row.unet))
    config.set_inference_dtype(torch.bfloat16, None)
    network = config.get_model({}, device="meta").diffusion_model
    sizes = Counter()
    for parameter in network.parameters():
        sizes[parameter.dtype] += parameter.numel()
    assert sizes.total() == pytest.approx(billions * 1e9, rel=0.01)
    assert sizes[torch.bfloat16] > 0.999 * sizes.total()  # of Wan, the host keeps a few in float32


def test_a_part_is_measured_written_and_skipped_when_the_budget_is_spent(monkeypatch, tmp_path, capsys):
    import full_size
    import gpu
    import sums

    small = full_size.SMALL[2]
    thin = full_size._small(small, (1, 16, 1, 8, 8), num_layers=2, num_attention_heads=1)
    monkeypatch.setattr(full_size, "SMALL", [full_size.replace(thin, steps=12)])
    monkeypatch.setattr(sums, "SMALL", [(1, 4, 8)])
    for budget in (600, 0):
        command = ["gpu.py", "--small", "--budget", str(budget), "--out", str(tmp_path / str(budget))]
        monkeypatch.setattr(sys, "argv", command)
        gpu.main()
    (subject,) = json.loads((tmp_path / "600.json").read_text("utf-8"))["subjects"].values()
    assert [len(runs) for runs in subject["methods"].values()] == [1] * len(gpu.METHODS)
    assert [runs[0]["calls"] for runs in subject["methods"].values()][:5] == [12, 4, 6, 4, 4]
    text = (tmp_path / "600.md").read_text("utf-8")
    assert text.startswith("**A CPU, with networks made small")
    assert "| stack, speed 5 | 4 |" in text
    assert "Skipped" not in text
    assert "0 s were left" in (tmp_path / "0.md").read_text("utf-8")
    capsys.readouterr()


def test_without_a_gpu_real_sizes_are_refused(monkeypatch):
    import gpu

    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    with pytest.raises(SystemExit, match="There is no GPU here: add --small"):
        gpu.main()


def test_the_page_of_limits_is_what_the_results_say():
    import limits

    assert limits.document() == (limits.PAGES / "limits.md").read_text("utf-8")


def test_the_pack_is_small_and_has_the_host(monkeypatch, tmp_path, capsys):
    import gpu_pack

    monkeypatch.setattr(sys, "argv", ["gpu_pack.py", "--to", str(tmp_path / "pack")])
    gpu_pack.main()
    assert "with the repository" in capsys.readouterr().out
    for name in (
        "comfyui/comfy/samplers.py",
        "wheels/comfy_kitchen/__init__.py",
        "wheels/torchsde/__init__.py",
        "run.sh",
    ):
        assert (tmp_path / "pack" / name).is_file(), name
    monkeypatch.setattr(gpu_pack, "LIMIT", 1e6)
    with pytest.raises(SystemExit, match="more than the 1 MB that travel"):
        gpu_pack.main()
