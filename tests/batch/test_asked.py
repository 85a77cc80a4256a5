"""What is asked of Ray and cannot be had, refused before Ray is looked for."""

import asyncio
import importlib.util
import os
from dataclasses import replace

import pytest

from hicache_batch import gpus
from hicache_batch.cluster import RayEngine
from hicache_batch.comfyui import Launch
from hicache_batch.errors import Refusal

from .processes import two_gpus


@pytest.fixture
def launch(tmp_path):
    return Launch(os.environ["COMFYUI_PATH"], str(tmp_path), arguments=("--cpu",), cpu=None)


def refused(engine):
    with pytest.raises(Refusal) as refusal:
        asyncio.run(engine.__aenter__())
    return str(refusal.value)


def test_without_ray_it_says_how_to_install_it(launch, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "pip install 'ray[client]', or use --server URL" in refused(RayEngine(launch))


def test_a_number_of_workers_below_one_is_refused(launch):
    assert refused(RayEngine(launch, workers=0)) == "--workers is 0; give 1 or more."


def test_a_checkout_that_is_none_is_refused(launch, tmp_path):
    assert f"{tmp_path} has no main.py" in refused(RayEngine(replace(launch, comfyui=str(tmp_path))))


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"gpus": (0,), "address": "auto"}, "--gpus 0 names GPUs of this machine; with --address auto"),
        ({"gpus": (4, 6), "workers": 3}, "--workers 3 is not one per GPU of --gpus 4,6"),
        ({"gpus": (4, 4)}, "--gpus 4,4 names a GPU twice"),
        ({"gpus": (4, 7)}, "there is no GPU 7; this machine has 4 (Toy 80GB), 6 (Toy 80GB)."),
        ({"gpus": ("GPU-9",)}, "there is no GPU GPU-9;"),
    ],
)
def test_gpus_that_cannot_be_had_are_refused(launch, tmp_path, monkeypatch, asked, sentence):
    two_gpus(tmp_path, monkeypatch)
    assert sentence in refused(RayEngine(launch, **asked))


def test_gpus_do_not_go_with_workers_on_the_cpu(launch):
    assert "--gpus 0 does not go with" in refused(RayEngine(replace(launch, cpu=True), gpus=(0,)))


def test_a_machine_without_gpus_says_so(launch, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "there is no GPU 0; this machine has none." in refused(RayEngine(launch, gpus=(0,)))


def test_gpus_are_known_by_number_and_by_uuid(tmp_path, monkeypatch):
    two_gpus(tmp_path, monkeypatch)
    gpus.require((4, "GPU-6f", "MIG-77aa"))


def test_gpus_of_amd_are_taken_as_they_are_named(tmp_path, monkeypatch):
    (tmp_path / "rocm-smi").write_text("#!/bin/sh\n", encoding="utf-8")
    (tmp_path / "rocm-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    gpus.require((0, 1))


def test_a_driver_that_does_not_answer_has_no_gpus(tmp_path, monkeypatch):
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\nexit 9\n", encoding="utf-8")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert gpus.listing() == ""


@pytest.mark.parametrize("address", ["ray://127.0.0.1:9", "127.0.0.1:9"])
def test_a_cluster_that_does_not_answer_is_refused(launch, address):
    assert f"Nothing answers at --address {address}" in refused(RayEngine(launch, address=address))


@pytest.mark.parametrize("address", ["ray://head", "http://head:10001", "head:port"])
def test_an_address_that_is_none_is_refused(launch, address):
    assert f"--address {address} is no address of a cluster" in refused(RayEngine(launch, address=address))


@pytest.mark.parametrize("variable", ["RAY_TMPDIR", "TMPDIR"])
def test_a_cluster_that_has_ended_is_refused(launch, tmp_path, monkeypatch, variable):
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text("127.0.0.1:9", encoding="utf-8")
    monkeypatch.setenv(variable, str(tmp_path))
    assert "Nothing answers at --address 127.0.0.1:9" in refused(RayEngine(launch, address="auto"))
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:7")
    assert "Nothing answers at --address 127.0.0.1:7" in refused(RayEngine(launch, address="auto"))
