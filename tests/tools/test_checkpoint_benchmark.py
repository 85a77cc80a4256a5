"""The fidelity benchmark on a user's own files: here the small Flux as a file, with a text encoder of our own."""

import argparse
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_models import sampling
from small_models.pictures import SPLITS, captions, encode_captions

FLUX = sampling.MODELS / "diffusion_models" / "small_flux_test.safetensors"


class SmallEncoder:
    """Reads a prompt as the number of a caption; nothing as no caption."""

    def tokenize(self, text):
        return text

    def encode_from_tokens_scheduled(self, text):
        context, pooled = encode_captions([captions(SPLITS["test"])[int(text or 0)]])
        keep = 1.0 if text else 0.0
        return [[context * keep, {"pooled_output": pooled * keep}]]


@pytest.fixture
def checkpoint(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    import checkpoint

    monkeypatch.setattr(checkpoint, "text_encoder", lambda arguments: SmallEncoder())
    return checkpoint


@pytest.fixture
def vae(tmp_path):
    """The small VAE in one file."""
    merged = {"vae_scale": torch.tensor(0.3611), "vae_shift": torch.tensor(0.1159)}
    for part in ("encoder", "decoder"):
        weights = load_file(sampling.MODELS / "vae_approx" / f"taef1_{part}.safetensors")
        merged |= {f"taesd_{part}.{name}": weight for name, weight in weights.items()}
    save_file(merged, tmp_path / "vae.safetensors")
    return tmp_path / "vae.safetensors"


def options(checkpoint, *words):
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=3)
    checkpoint.add_options(parser)
    return parser.parse_args(["--checkpoint", str(FLUX), "--dtype", "float32", "--pixels", "128", *map(str, words)])


def test_a_users_files_are_sampled_as_the_small_model_is(checkpoint, vae, tmp_path):
    (tmp_path / "prompts.txt").write_text("17\n\n3\n", "utf-8")
    words = ("--text-encoder", "any", "--vae", vae, "--prompts", tmp_path / "prompts.txt", "--guidance", 3.0)
    subject = checkpoint.subject(options(checkpoint, *words))
    assert subject.name == FLUX.name
    work = subject.jobs(3, steps=6)
    assert [(job.text, job.seed) for job in work] == [("17", 1000), ("3", 1001), ("17", 1002)]
    assert {name: getattr(work[0], name) for name in subject.usual} == subject.usual

    same = sampling.Job(captions(SPLITS["test"])[3], seed=1001, steps=6)
    latent = subject.full_run(work[1])
    assert torch.equal(latent, sampling.sample(sampling.load_flux("test"), same))
    assert torch.allclose(subject.decode(latent), sampling.decode(latent), atol=1e-3)
    alone = [subject.full_run(job) for job in work]
    assert torch.equal(subject.together(subject.model, work), torch.cat(alone))
    mask = torch.zeros(1, 16, 16)
    kept = subject.together(subject.model, work[:2], latent=torch.cat(alone[1:]), noise_mask=mask)
    assert torch.allclose(kept, torch.cat(alone[1:]), atol=1e-4)  # nothing is masked


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((), "has no text encoder: name its files with --text-encoder"),
        (("--text-encoder", "any"), "has no VAE: name its file with --vae"),
    ],
)
def test_what_is_missing_is_named(checkpoint, words, complaint):
    with pytest.raises(SystemExit, match=complaint):
        checkpoint.subject(options(checkpoint, *words))


def test_an_empty_list_of_prompts_is_refused(checkpoint, vae, tmp_path):
    (tmp_path / "prompts.txt").write_text("\n", "utf-8")
    with pytest.raises(SystemExit, match="has no prompt in it"):
        checkpoint.subject(
            options(checkpoint, "--text-encoder", "any", "--vae", vae, "--prompts", tmp_path / "prompts.txt")
        )


def test_an_unknown_kind_of_text_encoder_is_refused(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    import checkpoint

    with pytest.raises(SystemExit, match="--text-encoder-type is 'abc': choose one of stable_diffusion"):
        checkpoint.text_encoder(options(checkpoint, "--text-encoder", "any", "--text-encoder-type", "abc"))
