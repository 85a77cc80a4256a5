"""The kernel runs on a GPU only: here a stand-in for torch's compiler reads its code, and the true one compiles it."""

import logging
import re

import pytest
import torch

from hicache_core import kernel
from hicache_core.forecast import weighted_sum

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
WEIGHTS = ([0.7], [0.7, -2.0, 2.3], [3.1, 0.0, -2.6], [0.3, -1.7, 2.9, -0.5], [0.1] * 7 + [0.2])


class Compiler:
    """Does on a CPU what torch.cuda.jiterator does on a GPU. calls: how many tensors each sum was made of."""

    def __init__(self, off_by=0.0):
        self.calls, self.off_by, self.trouble = [], off_by, None

    def _create_jit_fn(self, code, **defaults):
        inputs, terms = re.fullmatch(r"template <typename T> T \w+\((.*)\) \{ return (.*); \}", code).groups()
        names = [one.removeprefix("T ") for one in inputs.split(", ")]
        assert all(name in defaults for name in names if name.startswith("w"))

        def add(*tensors, **weights):
            self.calls.append(len(tensors))
            if self.trouble is not None:
                raise self.trouble
            values = dict(zip(names, tensors, strict=False)) | weights
            wide = torch.promote_types(tensors[0].dtype, torch.float32)
            total = torch.full_like(tensors[0], self.off_by, dtype=wide)
            for term in terms.split(" + "):
                weight, tensor = term.split(" * ")
                total += values[weight] * values[tensor].to(wide)
            return total.to(tensors[0].dtype)

        return add


@pytest.fixture
def compiler(monkeypatch):
    """A function that puts a stand-in for the compiler there, and lets the CPU be a device that has one."""
    monkeypatch.setattr(kernel, "_kernels", {})
    monkeypatch.setattr(kernel, "_without", set())
    monkeypatch.setattr(kernel, "refusals", [])
    monkeypatch.setattr(kernel, "KINDS", ("cpu",))

    def make(**options):
        monkeypatch.setattr(kernel, "jiterator", Compiler(**options))
        return kernel.jiterator

    return make


def anchors_of(count, dtype=torch.float32):
    return [torch.randn(3, 500, generator=torch.Generator().manual_seed(i)).to(dtype) for i in range(count)]


@pytest.mark.parametrize("share", [1.0, 0.4])
@pytest.mark.parametrize("weights", WEIGHTS, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_anchors_are_added_at_once_and_rounded_once(compiler, dtype, weights, share):
    stand_in, anchors = compiler(), anchors_of(len(weights), dtype)
    before = [anchor.clone() for anchor in anchors]
    total = weighted_sum(weights, anchors, (share,))
    exact = sum(w * a.double() for w, a in zip(weights, anchors, strict=True))
    exact = share * exact + (1.0 - share) * anchors[-1].double()
    wide = torch.finfo(torch.promote_types(dtype, torch.float32)).eps
    assert torch.allclose(total.double(), exact, rtol=0.51 * torch.finfo(dtype).eps, atol=16 * wide)
    assert stand_in.calls == [sum(weight != 0.0 for weight in weights)] * 2  # once to be tried, and once for this
    assert all(map(torch.equal, anchors, before))
    whole = torch.zeros(9, 500, dtype=dtype)
    weighted_sum(weights, anchors, (share,), out=whole[3:6])
    assert torch.equal(whole[3:6], total)
    assert not torch.cat((whole[:3], whole[6:])).any()


def test_the_code_is_a_sum_and_nothing_else():
    head = "template <typename T> T weighted_sum"
    assert kernel.code(1) == head + "(T x0, T w0) { return w0 * x0; }"
    assert kernel.code(3) == head + "(T x0, T x1, T x2, T w0, T w1, T w2) { return w0 * x0 + w1 * x1 + w2 * x2; }"


@pytest.mark.parametrize("count", [1, 3, kernel.MOST])
def test_torch_reads_the_code(count):
    made = torch.cuda.jiterator._create_jit_fn(kernel.code(count), **{f"w{i}": 0.0 for i in range(count)})
    assert made.kernel_name == "weighted_sum"


NARROW = "struct Narrow { unsigned short x; operator float() const { return x; } };"  # as torch's own for bfloat16


@pytest.mark.parametrize(("stored", "computed"), [("float", "float"), ("double", "double"), ("Narrow", "float")])
def test_the_compiler_of_torch_compiles_the_code(stored, computed):
    """NVIDIA's, which torch brings along and which needs no GPU; with torch's options."""
    nvrtc = pytest.importorskip("cuda.bindings.nvrtc")
    for count in range(1, kernel.MOST + 1):
        inputs = "".join(f", {stored}* x{i}, double w{i}" for i in range(count))  # torch hands numbers over as double
        given = ", ".join([f"x{i}[0]" for i in range(count)] + [f"w{i}" for i in range(count)])
        whole = f'{NARROW} {kernel.code(count)} extern "C" __global__ void run({computed}* y{inputs}) '
        whole += f"{{ y[0] = weighted_sum<{computed}>({given}); }}"
        _, program = nvrtc.nvrtcCreateProgram(whole.encode(), b"sum.cu", 0, [], [])
        options = [b"--std=c++17", b"--gpu-architecture=compute_90", b"-default-device", b"-DNDEBUG"]
        (result,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
        _, size = nvrtc.nvrtcGetProgramLogSize(program)
        said = b" " * size
        nvrtc.nvrtcGetProgramLog(program, said)
        assert result == nvrtc.nvrtcResult.NVRTC_SUCCESS, said.decode()


def test_what_cannot_be_compiled_is_added_in_passes_and_said_once(compiler, caplog):
    caplog.set_level(logging.INFO)
    compiler().trouble = RuntimeError(
        f"{kernel.code(3)}\nnvrtc: error: invalid value for --gpu-architecture\nand so on"
    )
    weights, anchors = [0.7, -2.0, 2.3], anchors_of(3)
    expected = sum(w * a for w, a in zip(weights, anchors, strict=True))
    for _ in range(2):
        assert torch.allclose(weighted_sum(weights, anchors), expected, atol=1e-5)
    assert kernel.jiterator.calls == [3]
    weighted_sum([*weights, 0.1], anchors_of(4))
    assert kernel.jiterator.calls == [3, 4]
    assert kernel.refusals == ["nvrtc: error: invalid value for --gpu-architecture"]
    (record,) = caplog.records
    assert record.getMessage().endswith(
        "take longer than they could: nvrtc: error: invalid value for --gpu-architecture"
    )


def test_a_kernel_that_adds_wrongly_is_not_used(compiler, caplog):
    caplog.set_level(logging.INFO)
    stand_in, weights, anchors = compiler(off_by=0.01), [0.7, -2.0, 2.3], anchors_of(3)
    expected = sum(w * a for w, a in zip(weights, anchors, strict=True))
    assert torch.allclose(weighted_sum(weights, anchors), expected, atol=1e-5)
    assert stand_in.calls == [3]
    assert "adds wrongly on cpu" in caplog.text


def test_one_that_fails_later_is_given_up(compiler):
    stand_in, weights, anchors = compiler(), [0.7, -2.0, 2.3], anchors_of(3)
    total = weighted_sum(weights, anchors)
    stand_in.trouble = RuntimeError("CUDA driver error: invalid image")
    assert torch.allclose(weighted_sum(weights, anchors), total, atol=1e-5)
    stand_in.trouble, calls = None, len(stand_in.calls)
    weighted_sum(weights, anchors)
    assert len(stand_in.calls) == calls


@pytest.mark.parametrize(
    "error",
    [torch.cuda.OutOfMemoryError("CUDA out of memory. Tried"), RuntimeError("CUDA driver error: out of memory")],
    ids=lambda error: type(error).__name__,
)
def test_want_of_memory_is_nobodys_fault(compiler, error):
    """Not even when the kernel is tried: the next sum tries it again."""
    stand_in, weights, anchors = compiler(), [0.7, -2.0, 2.3], anchors_of(3)
    expected = sum(w * a for w, a in zip(weights, anchors, strict=True))
    for calls in (1, 4):
        stand_in.trouble = error
        assert torch.allclose(weighted_sum(weights, anchors), expected, atol=1e-5)
        assert len(stand_in.calls) == calls
        stand_in.trouble = None
        assert torch.allclose(weighted_sum(weights, anchors), expected, atol=1e-5)
    assert len(stand_in.calls) == 5  # tried in vain, tried, used; in vain, used
    assert kernel.refusals == []


def test_the_device_that_another_pack_made_the_default_does_not_matter(compiler):
    stand_in, weights, anchors = compiler(), [0.7, -2.0, 2.3], anchors_of(3)
    expected = sum(w * a for w, a in zip(weights, anchors, strict=True))
    with torch.device("meta"):
        total = weighted_sum(weights, anchors)
    assert torch.allclose(total, expected, atol=1e-5)
    assert len(stand_in.calls) == 2


@pytest.mark.parametrize(
    "view", [lambda anchor: anchor.t(), lambda anchor: anchor.flatten()[1:]], ids=["strides", "address"]
)
def test_what_torch_would_make_another_kernel_for_is_added_in_passes(compiler, view):
    """One that was not tried."""
    stand_in, weights, anchors = compiler(), [0.7, -2.0, 2.3], [view(anchor) for anchor in anchors_of(3)]
    expected = sum(w * a for w, a in zip(weights, anchors, strict=True))
    assert torch.allclose(weighted_sum(weights, anchors), expected, atol=1e-5)
    assert stand_in.calls == []


def test_more_than_torch_takes_and_shares_by_row_are_added_in_passes(compiler):
    stand_in, anchors = compiler(), anchors_of(9)
    weighted_sum([0.1] * 8 + [0.2], anchors)
    weighted_sum([0.7, -2.0, 2.3], anchors[:3], (1.0, 0.4, -0.3))
    assert stand_in.calls == []


def test_without_a_gpu_nothing_is_compiled(monkeypatch):
    monkeypatch.setattr(kernel, "_kernels", {})
    assert kernel.sum_in_one_pass([0.7, -2.0, 2.3], anchors_of(3)) is None
    assert kernel._kernels == {}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("weights", WEIGHTS, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_on_a_gpu_it_adds_in_one_kernel(dtype, weights):
    anchors = [anchor.cuda() for anchor in anchors_of(len(weights), dtype)]
    with torch.inference_mode():
        total = kernel.sum_in_one_pass(weights, anchors)
    assert total is not None, kernel.refusals
    exact = sum(w * a.double() for w, a in zip(weights, anchors, strict=True))
    wide = torch.finfo(torch.promote_types(dtype, torch.float32)).eps
    assert torch.allclose(total.double(), exact, rtol=0.51 * torch.finfo(dtype).eps, atol=16 * wide)
