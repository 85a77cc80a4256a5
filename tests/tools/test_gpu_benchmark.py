"""The benchmark of real sizes, as far as a CPU can tell: its networks, its pack, its table."""

import json
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import torch
from small_models import host  # noqa: F401  here, or its change of sys.path would be undone with ours

from hicache_core import kernel

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


@pytest.fixture
def measured(monkeypatch, tmp_path, capsys):
    """A function that runs the benchmark on a network of next to nothing: its results, and their page."""
    import full_size
    import gpu
    import sums

    thin = full_size._small(full_size.SMALL[1], (1, 16, 1, 8, 8), num_layers=2, num_attention_heads=1)
    monkeypatch.setattr(full_size, "SMALL", [full_size.replace(thin, steps=12)])
    monkeypatch.setattr(sums, "SMALL", [(1, 4, 8)])
    monkeypatch.setattr(gpu, "held", lambda cfg: int(cfg))

    def measure(*options):
        out = tmp_path / str(len(list(tmp_path.iterdir())))
        monkeypatch.setattr(sys, "argv", ["gpu.py", "--small", "--out", str(out), *options])
        gpu.main()
        capsys.readouterr()
        return json.loads(out.with_suffix(".json").read_text("utf-8")), out.with_suffix(".md").read_text("utf-8")

    return measure


def test_every_method_is_measured_in_every_round_and_written(measured):
    import full_size
    import gpu

    data, page = measured("--rounds", "2")
    (subject,) = data["subjects"].values()
    rounds = [[run["round"] for run in runs] for runs in subject["methods"].values()]
    assert rounds == [[0, 1]] * len(gpu.METHODS)
    assert [runs[0]["calls"] for runs in subject["methods"].values()] == [12, 4, 4, 4, 4, 6, 6, 4, 4, 4]
    assert subject["fully loaded"]
    assert page.startswith("**A CPU, with networks made small")
    assert "| stack, speed 5 | 2 | 4 |" in page
    assert "one bag a token" in page
    assert "Skipped" not in page
    assert data["held"] == {"1": 1, "4": 4}
    assert data["machine"]["comfy_kitchen"]["eager"] == "there"
    assert not full_size.comfy.model_management.loaded_models()  # what is measured next has the device to itself


def test_what_the_budget_does_not_last_for_is_named(measured):
    data, page = measured("--budget", "0")
    assert "0 s were left" in page
    assert data["subjects"] == {}


def test_bytes_held_are_measured_without_and_with_guidance():
    from gpu_held import held

    assert 0 < held(1.0) <= held(4.0)


def test_conditioning_and_latent_are_made_once_for_all_runs(monkeypatch, measured):
    from tiny_models.model import TinyModel

    made = Counter()
    own = TinyModel.conditioning
    monkeypatch.setattr(TinyModel, "conditioning", lambda self, seed: made.update([self.name]) or own(self, seed))
    measured("--rounds", "1")
    assert [count for name, count in made.items() if "made small" in name] == [2]  # positive and negative


def test_what_runs_out_of_memory_is_skipped_and_the_rest_goes_on(monkeypatch, measured):
    import full_size
    import gpu
    import timed

    thin = full_size.SMALL[0]
    monkeypatch.setattr(full_size, "SMALL", [full_size.replace(thin, cfg=1.0), thin])
    monkeypatch.setattr(gpu, "DECIDING", [gpu.BASE, "module, speed 5", "output, speed 5"])
    monkeypatch.setattr(gpu, "OTHERS", [])
    run, build = timed.run, full_size.build

    def scarce(model, settings, sampled):
        if settings == gpu.METHODS["module, speed 5"]:
            raise torch.cuda.OutOfMemoryError("no room for a module\nand so on")
        return run(model, settings, sampled)

    monkeypatch.setattr(timed, "run", scarce)
    first, second = measured("--rounds", "2")[0]["subjects"].values()
    for subject in (first, second):
        counts = {name: len(runs) for name, runs in subject["methods"].items() if runs}
        assert counts == {gpu.BASE: 2, "output, speed 5": 2}
    monkeypatch.setattr(timed, "run", run)

    tries = Counter()

    def too_large(row, dtype):
        tries.update([row.name])
        if len(tries) == 1:
            raise torch.cuda.OutOfMemoryError("no room for the weights")
        return build(row, dtype)

    monkeypatch.setattr(full_size, "build", too_large)
    larger = full_size.replace(thin, row=full_size.replace(thin.row, name="Larger"))
    monkeypatch.setattr(full_size, "SMALL", [larger, thin])
    data, page = measured("--rounds", "2")
    assert list(data["subjects"]) == [thin.name]
    assert f"- {larger.name}, round 1: no room for the weights" in page
    assert tries["Larger"] == 1
    assert len(data["skipped"]) == 1


class Event:
    """A device's, on the clock of the processor."""

    def __init__(self, enable_timing):
        assert enable_timing

    def record(self):
        self.at = time.perf_counter()

    def synchronize(self):
        pass

    def elapsed_time(self, other):
        return 1e3 * (other.at - self.at)


def pretend_there_is_a_gpu(monkeypatch):
    """As far as the benchmark itself asks; the host goes on with the CPU."""
    import timed

    monkeypatch.setattr(timed, "on_cuda", lambda: True)
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "_sleep", lambda cycles: None)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Pretended GPU")
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 2**30)
    for name in ("synchronize", "reset_peak_memory_stats"):
        monkeypatch.setattr(torch.cuda, name, lambda: None)
    modes = []
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)
    return modes


def test_the_way_of_a_gpu_leads_to_its_pages(monkeypatch, measured):
    """What only a GPU can do is pretended, so that nothing is run there for the first time but the GPU."""
    import full_size
    import limits
    import sums

    modes = pretend_there_is_a_gpu(monkeypatch)
    monkeypatch.setattr(sums, "one_bag_a_token", lambda *_: 1 / 0)
    monkeypatch.setattr(kernel, "refusals", ["no compiler"])
    data, page = measured("--rounds", "1")
    (subject,) = data["subjects"].values()
    assert modes == ["warn", "default"] * 4
    assert subject["waits"]["output, speed 2"] == {"computed": 0, "forecast": 0}
    assert "Pretended GPU" in page
    assert "| division by zero |" in page  # what a way says that cannot run is in its place
    assert "Not in one kernel: no compiler." in page
    assert full_size.FULL[0].name == limits.FULL_FLUX
    data["subjects"] = {limits.FULL_FLUX: subject}
    read = limits.read
    monkeypatch.setattr(limits, "read", lambda name: data if name == "gpu.json" else read(name))
    text = limits.document()
    assert limits.WAITING not in text
    assert "the GPU is Pretended GPU" in text


def test_waits_that_cannot_be_counted_cost_nothing_else(monkeypatch, measured):
    import gpu

    pretend_there_is_a_gpu(monkeypatch)
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", lambda mode: 1 / 0)
    monkeypatch.setattr(gpu, "DECIDING", [gpu.BASE])
    monkeypatch.setattr(gpu, "OTHERS", [])
    data, page = measured("--rounds", "2")
    (subject,) = data["subjects"].values()
    assert len(subject["methods"][gpu.BASE]) == 2
    assert "waits, stack, speed 2: division by zero" in page


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_way_of_adding_gives_the_same(dtype):
    import sums

    for row in sums.rows((1, 5, 8), dtype):
        assert row["errors"].keys() == {
            "weighted_sum",
            "and to a place",
            "step by step",
            "one bag a token",
            "in chunks",
        }
        assert max(row["errors"].values()) < (1e-6 if dtype == torch.float32 else 5e-3)


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
