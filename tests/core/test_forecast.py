import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from hicache_core.forecast import weighted_sum

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
WEIGHTS = (
    [1.0],
    [0.7],
    [-1.3, 2.3],
    [-1.3, 2.0],
    [0.0, 1.0],
    [3.1, 0.0, -2.1],
    [0.7, -2.0, 2.3],
    [0.3, -1.7, 2.9, -0.5],
)


@pytest.mark.parametrize("shares", [(1.0,), (0.4,), (1.0, 0.4, -0.3)])
@pytest.mark.parametrize("weights", WEIGHTS, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_it_is_the_weighted_sum_rounded_once(dtype, weights, shares):
    anchors = [torch.randn(3, 500, generator=torch.Generator().manual_seed(i)).to(dtype) for i in range(len(weights))]
    before = [anchor.clone() for anchor in anchors]
    total = weighted_sum(weights, anchors, shares)
    exact = sum(w * a.double() for w, a in zip(weights, anchors, strict=True))
    share = torch.tensor(shares, dtype=torch.float64).view(-1, 1)
    exact = share * exact + (1.0 - share) * anchors[-1].double()
    assert total.dtype == dtype
    half_a_digit = 0.51 * torch.finfo(dtype).eps
    assert torch.allclose(total.double(), exact, rtol=half_a_digit, atol=8 * torch.finfo(torch.float32).eps)
    assert all(map(torch.equal, anchors, before))
    assert all(total.data_ptr() != anchor.data_ptr() for anchor in anchors)
    whole = torch.zeros(9, 500, dtype=dtype)
    weighted_sum(weights, anchors, shares, out=whole[3:6])
    assert torch.equal(whole[3:6], total)
    assert not torch.cat((whole[:3], whole[6:])).any()


class Kernels(TorchDispatchMode):
    """Counts operations that touch every element."""

    def __init__(self, elements):
        super().__init__()
        self.elements, self.names = elements, []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor) and out.numel() == self.elements and "empty" not in str(func):
            self.names.append(str(func))
        return out


@pytest.mark.parametrize(("weights", "passes"), [([-1.3, 2.3], 1), ([0.7, -2.0, 2.3], 3), ([0.1, 0.7, -2.1, 2.3], 4)])
def test_memory_is_passed_over_once_for_two_anchors_and_once_for_each_of_more(weights, passes):
    anchors = [torch.randn(4, 256, dtype=torch.bfloat16) for _ in weights]
    with Kernels(anchors[0].numel()) as kernels:
        weighted_sum(weights, anchors)
    assert len(kernels.names) == passes, kernels.names


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
