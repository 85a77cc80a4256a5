"""What choices of HiCache Settings cost or gain, for the tooltips: from docs/benchmarks/settings_*.md, or as said."""

_BOTH = "PSNR to the full run (more is closer) of the small Flux and the small Qwen-Image at speed 5"
_SPENT = f"These steps count among those that 'speed' pays for. {_BOTH}"

MEASURED = {
    "basis": f"{_BOTH}: hermite 59.4 and 49.4 dB, taylor and lagrange 59.5 and 49.4, dual_taylor 58.6 and 49.1, reuse "
    "57.0 and 49.0, analytic 56.7 and 49.2, spectrum 56.3 and 48.1, chebyshev 51.8 and 47.3.",
    "order": f"{_BOTH}: 57.0 and 49.0 dB with 0, 59.4 and 49.4 with 1, 59.5 and 49.7 with 2 or 3.",
    "contraction": "PSNR to the full run (more is closer) of the small Flux at speed 5: 57.6 dB with 0.3, 58.6 with "
    "0.5, 59.4 with 0.7, 58.0 with 0.9.",
    "warmup_steps": f"{_SPENT}: 59.4 and 49.4 dB with 1, 52.3 and 42.2 with 3.",
    "start_percent": f"{_SPENT}: 59.4 and 49.4 dB with 0, 49.0 and 36.6 with 0.1.",
    "end_percent": f"{_SPENT}: 59.4 and 49.4 dB with 1, 57.8 and 44.6 with 0.9.",
    "max_gap": "It limits large tolerances: with 4, at least 13 of 50 steps are computed. At the default tolerance 13 "
    "to 18 were on the small Flux, 18 to 22 on the small Qwen-Image.",  # adaptive_*.md
    "explosion_limit": "On the small Flux at speed 5, 50 and 5 refuse nothing; with 2, 27 of 50 steps are computed "
    "instead of 10.",
    "corrector": f"{_BOTH}: 59.4 and 49.4 dB with it, 51.5 and 46.6 without.",
    "level": f"{_BOTH}: output 59.4 and 49.4 dB, stack and block 56.3 and 49.9, module 56.5 and 50.0.",
    "stabilizer": "PSNR to the full run (more is closer) at speed 5: of the small Qwen-Image with CFG 4 49.4 dB with "
    "it, 27.8 without; of the small Flux without CFG 59.4 and 60.2.",
    "steps": "PSNR to the full run (more is closer) of the small Flux and the small Qwen-Image with 10 of 50 steps: "
    "evenly spaced 43.6 and 37.9 dB, spaced as 'target speed' does it 61.0 and 49.6.",  # schedule_*.md
    "cache_device": "By formula, for FLUX.1 dev at 1024x1024 with order 2: 4 MiB at level output, 72 MiB at stack, "
    "4617 MiB at block, 6156 MiB at module.",  # levels.md
}


def hinted(name: str, tooltip: str) -> str:
    """The tooltip of a widget and what was measured, if anything was."""
    if name not in MEASURED:
        return tooltip
    between = "\n" if "\n" in tooltip else " "
    return tooltip + between + MEASURED[name]
