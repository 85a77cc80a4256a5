import pytest
import torch

from hicache_core.forecast import weighted_sum


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_it_is_the_weighted_sum_rounded_once(dtype):
    anchors = [torch.randn(3, 5, generator=torch.Generator().manual_seed(i)).to(dtype) for i in range(4)]
    weights = [0.3, -1.7, 2.9, -0.5]
    total = weighted_sum(weights, anchors)
    exact = sum(w * a.double() for w, a in zip(weights, anchors, strict=True))
    assert total.dtype == dtype
    assert torch.allclose(total.double(), exact, rtol=torch.finfo(dtype).eps, atol=4 * torch.finfo(torch.float32).eps)


def test_large_weights_do_not_round_in_the_anchors_dtype():
    """1000 a - 999 b with a, b nearly equal: bfloat16 arithmetic would lose everything."""
    a = torch.full((4,), 1.0, dtype=torch.bfloat16)
    b = torch.full((4,), 1.0078125, dtype=torch.bfloat16)
    assert torch.equal(weighted_sum([1000.0, -999.0], [a, b]), torch.full((4,), -6.8047, dtype=torch.bfloat16))


def test_the_result_is_fresh_memory_and_anchors_are_untouched():
    anchor = torch.ones(3)
    total = weighted_sum([1.0], [anchor])
    total.add_(5.0)
    assert torch.equal(anchor, torch.ones(3))


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="2 weights for 1 anchors"):
        weighted_sum([0.5, 0.5], [torch.ones(1)])
    with pytest.raises(ValueError, match="0 weights for 0 anchors"):
        weighted_sum([], [])
