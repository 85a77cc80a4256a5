"""Random pictures with a natural spectrum, and the exact denoiser of them.

A picture is m_k + g: one of a few coarse layouts m_k, which have low frequencies only, and a Gaussian g whose power
falls with the spatial frequency f like f^-a, as that of photographs does (a from 2 to 4). Every mode of g is
independent of the others, so of a noisy picture x = signal * picture + noise * white the best guess is known in every
mode:

    denoised = (signal P x + noise^2 sum_k w_k m_k) / (signal^2 P + noise^2)

with P the power and w_k the probability of layout k given x. The coarsest modes stand out of the noise first, at a
signal of about 1 / sqrt(P), and the layout is decided there: within the first steps on large latents. With a single
layout m = 0 it is the linear-Gaussian model, whose exact path is known in closed form (``Mixture.carried``).
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

COARSE = 3  # cycles across the picture up to which layouts differ
SMALLEST = 2 * COARSE + 1  # cells along a side that tell them apart


@dataclass(frozen=True)
class Mixture:
    """side: of the latents, in cells. slope: a. layouts: how many; 1: none, m = 0. channels: independent of each other.

    power     (side, side // 2 + 1), by mode of ``torch.fft.rfft2(norm="ortho")``, 1 in the mean
    coarse    (layouts, channels, rows, columns): the modes of every m_k that are not 0
    """

    side: int
    slope: float = 3.4
    layouts: int = 1
    channels: int = 4
    seed: int = 5
    power: Tensor = field(init=False)
    coarse: Tensor = field(init=False)

    def __post_init__(self) -> None:
        if self.side < SMALLEST:
            raise ValueError(f"side is {self.side}: it must be {SMALLEST} or more, so that layouts fit in.")
        rows, columns = _frequencies(self.side)
        power = torch.hypot(rows, columns).clamp_min(1.0) ** -self.slope
        weights = _multiplicity(self.side)
        power = power * (self.side**2 / (power * weights).sum())
        object.__setattr__(self, "power", power)
        object.__setattr__(self, "coarse", self._layouts(power))

    def _layouts(self, power: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed)
        shape = (self.layouts, self.channels, self.side, self.side)
        white = torch.fft.rfft2(torch.randn(shape, generator=generator), norm="ortho")
        rows, columns = _frequencies(self.side)
        keep = (torch.hypot(rows, columns) <= COARSE) & (self.layouts > 1)
        return _corner(white * power.sqrt() * keep)

    def prior(self, chosen: Tensor) -> Tensor:
        """log probabilities (B, layouts) of layouts from which ``chosen`` (B, layouts), 0 or 1, may come."""
        return torch.log(chosen / chosen.sum(1, keepdim=True))

    def direction(self, x: Tensor, signal: float, noise: float, prior: Tensor, flow: bool) -> Tensor:
        """(x - denoised) / noise, like ``x`` (B, channels, side, side). flow: signal is 1 - noise, else 1."""
        modes = torch.fft.rfft2(x, norm="ortho")
        power = self.power.to(x.device)
        total = signal**2 * power + noise**2
        scale = (noise - signal * power if flow else torch.full_like(power, noise)) / total
        answer = modes * scale
        if self.layouts > 1:
            corner = _corner(total)
            layout = self._expected(_corner(modes), corner, signal, prior)
            _add_corner(answer, layout * (-noise / corner))
        return torch.fft.irfft2(answer, s=x.shape[-2:], norm="ortho")

    def _expected(self, modes: Tensor, total: Tensor, signal: float, prior: Tensor) -> Tensor:
        """sum_k w_k m_k in the coarse modes, (B, channels, rows, columns)."""
        coarse = self.coarse.to(modes.device)
        weighed = coarse * (_corner(_multiplicity(self.side)).to(modes.device) / total)
        match = torch.einsum("bchw,kchw->bk", modes.real, weighed.real)
        match = match + torch.einsum("bchw,kchw->bk", modes.imag, weighed.imag)
        size = (coarse.real * weighed.real + coarse.imag * weighed.imag).sum((1, 2, 3))
        weights = torch.softmax(prior + signal * match - 0.5 * signal**2 * size, 1)
        return torch.einsum("bk,kchw->bchw", weights.to(coarse.dtype), coarse)

    def carried(self, x: Tensor, before: tuple[float, float], after: tuple[float, float]) -> Tensor:
        """Where the exact path of the linear-Gaussian model leads ``x``, from (signal, noise) to (signal, noise)."""
        assert self.layouts == 1  # else there is no closed form
        size = [(signal**2 * self.power + noise**2).sqrt() for signal, noise in (before, after)]
        modes = torch.fft.rfft2(x, norm="ortho") * (size[1] / size[0])
        return torch.fft.irfft2(modes, s=x.shape[-2:], norm="ortho")


def _frequencies(side: int) -> tuple[Tensor, Tensor]:
    """Cycles across the picture, of the rows (side, 1) and the columns (1, side // 2 + 1) of ``rfft2``."""
    return torch.fft.fftfreq(side, 1.0 / side)[:, None], torch.fft.rfftfreq(side, 1.0 / side)[None]


def _multiplicity(side: int) -> Tensor:
    """How often every mode of ``rfft2`` occurs among all modes, (1, side // 2 + 1)."""
    weights = torch.full((1, side // 2 + 1), 2.0)
    weights[0, 0] = 1.0
    if side % 2 == 0:
        weights[0, -1] = 1.0
    return weights


def _corner(modes: Tensor) -> Tensor:
    """The coarse modes alone: frequencies 0 .. COARSE, then -COARSE .. -1, by 0 .. COARSE."""
    if modes.shape[-2] == 1:
        return modes[..., : COARSE + 1]
    return torch.cat((modes[..., : COARSE + 1, : COARSE + 1], modes[..., -COARSE:, : COARSE + 1]), -2)


def _add_corner(modes: Tensor, coarse: Tensor) -> None:
    modes[..., : COARSE + 1, : COARSE + 1] += coarse[..., : COARSE + 1, :]
    modes[..., -COARSE:, : COARSE + 1] += coarse[..., COARSE + 1 :, :]
