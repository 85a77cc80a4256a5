import math

import pytest
import torch

from hicache_core.measure import fetch, magnitude, relative_error, token_norm


def test_magnitude_and_relative_error():
    actual = torch.tensor([3.0, -4.0])
    assert magnitude(actual) == 4.0
    assert float(relative_error(actual, torch.tensor([3.0, -3.0]))) == pytest.approx(math.sqrt(1.0 / 25.0))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_magnitude_shows_what_is_not_finite(bad, dtype):
    assert not magnitude(torch.tensor([1.0, bad], dtype=dtype)).isfinite()


def test_token_norm_of_hidden_states_and_of_latents():
    older = torch.zeros(1, 4, 2)
    hidden = torch.tensor([3.0, 4.0]).expand(1, 4, 2)
    assert token_norm(hidden, older, 2.0) == 2.5
    latent = hidden.movedim(1, 2).unflatten(2, (2, 2))  # two channels
    assert token_norm(latent, torch.zeros_like(latent), 2.0) == 2.5


def test_fetch_brings_named_scalars():
    assert fetch({"a": torch.tensor(1.5), "b": torch.tensor(2.5)}) == {"a": 1.5, "b": 2.5}
    assert fetch({}) == {}
