import math

import pytest
import torch

from hicache_core.measure import fetch, magnitude, relative_error, token_norm

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


def test_magnitude_and_relative_error():
    actual = torch.tensor([3.0, -4.0])
    assert magnitude(actual) == 4.0
    assert float(relative_error(actual, torch.tensor([3.0, -3.0]))) == pytest.approx(math.sqrt(1.0 / 25.0))


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_relative_error_of_narrow_dtypes_is_measured_in_float32(dtype):
    """float16 would overflow at the square of 300, and bfloat16 count no further than 256."""
    actual = torch.full((4, 1000), 300.0, dtype=dtype)
    assert float(relative_error(actual, actual + 2.0)) == pytest.approx(2.0 / 300.0, rel=1e-5)
    assert float(relative_error(torch.zeros_like(actual), torch.zeros_like(actual))) == 0.0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", DTYPES)
def test_magnitude_shows_what_is_not_finite(bad, dtype):
    many = torch.ones(3, 70, 5, dtype=dtype)
    many[1, 40, 2] = bad
    assert not magnitude(many).isfinite()
    assert magnitude(torch.full((), bad, dtype=dtype)).dtype == dtype


@pytest.mark.parametrize("dtype", DTYPES)
def test_magnitude_is_the_maximum_norm(dtype):
    for seed in range(5):
        some = torch.randn(7, 33, 2, generator=torch.Generator().manual_seed(seed)).to(dtype)
        assert magnitude(some) == torch.linalg.vector_norm(some, ord=math.inf)


def test_token_norm_of_hidden_states_and_of_latents():
    older = torch.zeros(1, 4, 2)
    hidden = torch.tensor([3.0, 4.0]).expand(1, 4, 2)
    assert token_norm(hidden, older, 2.0) == 2.5
    latent = hidden.movedim(1, 2).unflatten(2, (2, 2))  # two channels
    assert token_norm(latent, torch.zeros_like(latent), 2.0) == 2.5


def test_fetch_brings_named_scalars():
    assert fetch({"a": torch.tensor(1.5), "b": torch.tensor(2.5)}) == {"a": 1.5, "b": 2.5}
    assert fetch({}) == {}
