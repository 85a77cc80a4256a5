"""The trainer and the shipped weights."""

from dataclasses import replace

import pytest
import torch
from small_models import latents, pictures, pixels, sampling, sdxl, videos, wan
from small_models.flux import build_flux, training_forward

import comfy.model_base  # isort: skip  after the small models, which make the host importable

LOADERS = {"sdxl": sampling.load_sdxl, "wan": sampling.load_wan}
BOTH = pytest.mark.parametrize("name", LOADERS)
SPLITS = pytest.mark.parametrize("split", pictures.SPLITS)


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


@SPLITS
def test_the_shipped_flux_is_a_flux_dev_for_the_host(split):
    model = sampling.load_flux(split).model
    assert type(model).__name__ == "Flux"
    assert model.diffusion_model.params.guidance_embed
    assert sum(p.numel() for p in model.diffusion_model.parameters()) == 2_846_272


@SPLITS
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


@SPLITS
def test_a_sampled_picture_has_the_colours_of_its_caption(split):
    """The border of the picture is the background: one of the two colours (the network leaves it open which)."""
    chosen = pictures.SPLITS[split]
    for job in sampling.jobs(split, 3, steps=12):
        (picture,) = sampling.decode(sampling.sample(sampling.load_flux(split), job))
        found = nearest_colour(chosen, border_of(picture))
        assert found in (job.caption.colour, job.caption.background)


@SPLITS
def test_qwen_image_tells_the_shape_from_its_background(split):
    chosen = pictures.SPLITS[split]
    model = sampling.load_qwen_image(split)
    assert sum(p.numel() for p in model.model.diffusion_model.parameters()) == 3_074_144
    for job in sampling.jobs(split, 4, steps=20, cfg=4.0):
        (picture,) = sampling.decode(sampling.sample(model, job))
        assert nearest_colour(chosen, border_of(picture)) == job.caption.background


@SPLITS
def test_a_videos_background_stands_still_and_its_shape_moves(split):
    drawn = [videos.draw_videos(pictures.SPLITS[split], 3, 64, generator(4), 0.35, (3.0, 3.0)) for _ in range(2)]
    assert torch.equal(drawn[0].pictures, drawn[1].pictures)
    for video in drawn[0].pictures:
        assert video.shape == (16, 3, 64, 64)
        assert (video[:, :, :3] == video[:1, :, :3]).all()
        assert (video[0] - video[-1]).abs().max() > 0.1


@BOTH
@SPLITS
def test_pixels_decode_what_they_encode(name, split):
    assert pixels.fidelity(name, pictures.SPLITS[split]) > 26.0  # dB


@SPLITS
def test_the_shipped_sdxl_is_an_sdxl_for_the_host(split):
    model = sampling.load_sdxl(split).model
    assert type(model) is comfy.model_base.SDXL
    assert model.model_type is comfy.model_base.ModelType.EPS
    assert torch.equal(model.model_sampling.sigmas, sdxl.model_sampling().sigmas)
    assert sum(p.numel() for p in model.diffusion_model.parameters()) == 2_807_940


@SPLITS
def test_the_shipped_wan_is_a_wan_for_the_host(split):
    model = sampling.load_wan(split).model
    assert type(model) is comfy.model_base.WAN21
    assert model.model_sampling.shift == 8.0
    assert sum(p.numel() for p in model.diffusion_model.parameters()) == 1_512_768


@BOTH
def test_training_asks_the_network_what_the_host_asks_it(name):
    """The same input, timestep and conditioning: what is trained predicts what is sampled with."""
    model, (job,) = LOADERS[name]("train"), sampling.jobs("train", 1, **sampling.USUAL[name])
    job = replace(job, steps=1, sampler="euler", cfg=1.0)
    seen, said = {}, {}
    network = model.model.diffusion_model
    hook = network.register_forward_hook(lambda _, args, kwargs, out: seen.update(x=args[0], out=out), with_kwargs=True)
    sampling.sample(model, job, callback=lambda step, denoised, x, total: said.update(denoised=denoised, x=x))
    hook.remove()
    (sigma, _), context = sampling.noise_levels(model, 1, job.scheduler), pictures.encode_captions([job.caption], True)
    forward = {"sdxl": sdxl.training_forward, "wan": wan.training_forward}[name]
    with torch.no_grad():
        ours = forward(network, said["x"], torch.tensor([sigma]), *context, None)
    assert torch.allclose(ours, seen["out"], rtol=1e-4, atol=1e-4)
    assert torch.allclose(said["x"] - sigma * ours, said["denoised"], rtol=1e-4, atol=1e-3)


SAMPLERS = {
    "sdxl": [("dpmpp_2m", "karras", 6.0), ("euler", "normal", 7.0), ("dpmpp_2m_sde", "karras", 5.0)],
    "wan": [("res_multistep", "simple", 5.0), ("euler", "simple", 1.0), ("uni_pc", "simple", 4.0)],
}


@pytest.mark.filterwarnings("ignore:Should have:UserWarning")  # torchsde, about the last bit of a noise level
@pytest.mark.parametrize(("name", "how"), [(name, how) for name in SAMPLERS for how in SAMPLERS[name]])
def test_every_sampler_of_its_users_works(name, how):
    sampler, scheduler, cfg = how
    model, (job,) = LOADERS[name]("train"), sampling.jobs("train", 1, **sampling.USUAL[name])
    latent = sampling.sample(model, replace(job, steps=8, sampler=sampler, scheduler=scheduler, cfg=cfg))
    assert latent.isfinite().all()
    assert 0.0 <= sampling.decode(latent).min() < sampling.decode(latent).max() <= 1.0


@BOTH
def test_together_is_one_by_one_and_the_first_block_counts_both(name):
    model, work = LOADERS[name]("test"), sampling.jobs("test", 2, **{**sampling.USUAL[name], "steps": 4})
    calls = []
    hook = sampling.first_block(model.model.diffusion_model).register_forward_hook(lambda *_: calls.append(1))
    together = sampling.sample_together(model, work)
    hook.remove()
    alone = torch.cat([sampling.sample(model, job) for job in work])
    assert len(calls) == 4
    assert torch.allclose(together, alone, rtol=1e-3, atol=1e-3 * float(alone.abs().max()))


@SPLITS
def test_sdxl_tells_the_shape_from_its_background(split):
    work = sampling.jobs(split, 4, **sampling.USUAL["sdxl"])
    for job, picture in zip(work, drawn_by("sdxl", split, work), strict=True):
        assert nearest_colour(pictures.SPLITS[split], border_of(picture)) == job.caption.background


@SPLITS
def test_wans_videos_have_the_background_of_their_captions(split):
    work = sampling.jobs(split, 3, **sampling.USUAL["wan"])
    for job, video in zip(work, drawn_by("wan", split, work), strict=True):
        borders = torch.stack([border_of(frame) for frame in video])
        assert nearest_colour(pictures.SPLITS[split], borders.mean(dim=0)) == job.caption.background
        assert (borders - borders.mean(dim=0)).abs().max() < 0.1


def drawn_by(name, split, work):
    return sampling.decode(sampling.sample_together(LOADERS[name](split), work))


def generator(seed):
    return torch.Generator().manual_seed(seed)
