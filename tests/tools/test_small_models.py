"""The trainer and the shipped weights."""

import pytest
import torch
from small_models import latents, pictures, sampling
from small_models.flux import build_flux, training_forward


def test_the_training_forward_is_the_hosts_forward():
    net = build_flux(seed=0)
    generator = torch.Generator().manual_seed(1)
    for parameter in net.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)
    x = torch.randn(2, 16, 16, 16, generator=generator)
    sigma, guidance = torch.tensor([0.3, 0.9]), torch.tensor([1.5, 4.0])
    context, pooled = pictures.encode_captions(pictures.captions(pictures.TRAIN)[:2])
    ours = training_forward(net, x, sigma, context, pooled, guidance)
    hosts = net(x, sigma, context, pooled, guidance)
    assert torch.allclose(ours, hosts, rtol=1e-4, atol=1e-4 * float(hosts.abs().max()))


def test_pictures_are_deterministic_and_in_range():
    draws = [pictures.draw_batch(pictures.TRAIN, 4, 64, torch.Generator().manual_seed(3)).pictures for _ in range(2)]
    assert torch.equal(*draws)
    assert 0.0 <= draws[0].min() < draws[0].max() <= 1.0


def test_the_splits_share_nothing():
    train, test = pictures.TRAIN, pictures.TEST
    assert not set(train.shapes) & set(test.shapes)
    assert not set(train.colours) & set(test.colours)
    assert not set(train.textures) & set(test.textures)


@pytest.mark.parametrize("split", pictures.SPLITS)
def test_the_shipped_flux_is_a_flux_dev_for_the_host(split):
    model = sampling.load_flux(split).model
    assert type(model).__name__ == "Flux"
    assert model.diffusion_model.params.guidance_embed
    assert sum(p.numel() for p in model.diffusion_model.parameters()) == 2_846_272


@pytest.mark.parametrize("split", pictures.SPLITS)
def test_the_vae_decodes_what_it_encodes(split):
    batch = pictures.draw_batch(pictures.SPLITS[split], 8, latents.SIZE, torch.Generator().manual_seed(5))
    encoded = sampling.load_vae().encode(batch.pictures.movedim(1, -1))
    error = (sampling.decode(encoded) - batch.pictures).square().mean()
    assert -10.0 * torch.log10(error) > 22.0  # dB


def border_of(picture):
    return torch.cat([picture[:, :8].flatten(1), picture[:, -8:].flatten(1)], dim=1).mean(dim=1)


def nearest_colour(split, rgb):
    names = list(split.colours)
    palette = torch.tensor([split.colours[name] for name in names]) * 0.8 + 0.1
    return names[int((palette - rgb).square().sum(dim=1).argmin())]


@pytest.mark.parametrize("split", pictures.SPLITS)
def test_a_sampled_picture_has_the_colours_of_its_caption(split):
    """The border of the picture is the background: one of the two colours (the network leaves it open which)."""
    chosen = pictures.SPLITS[split]
    for job in sampling.jobs(split, 3, steps=12):
        (picture,) = sampling.decode(sampling.sample(sampling.load_flux(split), job))
        found = nearest_colour(chosen, border_of(picture))
        assert found in (job.caption.colour, job.caption.background)


@pytest.mark.parametrize("split", pictures.SPLITS)
def test_qwen_image_tells_the_shape_from_its_background(split):
    chosen = pictures.SPLITS[split]
    model = sampling.load_qwen_image(split)
    assert sum(p.numel() for p in model.model.diffusion_model.parameters()) == 3_074_144
    for job in sampling.jobs(split, 4, steps=20, cfg=4.0):
        (picture,) = sampling.decode(sampling.sample(model, job))
        assert nearest_colour(chosen, border_of(picture)) == job.caption.background
