"""What the choices of HiCache Settings cost or gain, for the tooltips: from docs/benchmarks/settings_*.md."""

_BOTH = "PSNR of the small Flux and the small Qwen-Image at speed 5"
_SPENT = f"They come out of the calls of 'speed': {_BOTH}"

MEASURED = {
    "basis": f"{_BOTH}: hermite, taylor and lagrange 59.4 and 49.4 dB, reuse 57.0 and 49.0, spectrum 56.3 and 48.1.",
    "order": f"{_BOTH}: 57.0 and 49.0 dB with 0, 59.4 and 49.4 with 1, 59.5 and 49.7 with 2 or 3.",
    "contraction": "PSNR of the small Flux at speed 5: 57.6 dB with 0.3, 58.6 with 0.5, 59.4 with 0.7, 58.0 with 0.9.",
    "warmup_steps": f"{_SPENT}: 59.4 and 49.4 dB with 1, 52.3 and 42.2 with 3.",
    "start_percent": f"{_SPENT}: 59.4 and 49.4 dB with 0, 49.0 and 36.6 with 0.1.",
    "end_percent": f"{_SPENT}: 59.4 and 49.4 dB with 1, 57.8 and 44.6 with 0.9.",
    "explosion_limit": "50 and 5 refuse nothing on the small Flux at speed 5; 2 has 27 of 50 steps computed, not 10.",
    "corrector": f"{_BOTH}: 59.4 and 49.4 dB with it, 51.5 and 46.6 without.",
    "level": f"{_BOTH}: output 59.4 and 49.4 dB, module 56.5 and 50.0.",
    "stabilizer": "PSNR of the small Qwen-Image with CFG 4 at speed 5: 49.4 dB with it, 27.8 without; of the small "
    "Flux without CFG 59.4 and 60.2.",
}


def hinted(name: str, tooltip: str) -> str:
    """The tooltip of a widget and what was measured, if anything was."""
    if name not in MEASURED:
        return tooltip
    between = "\n" if "\n" in tooltip else " "
    return tooltip + between + MEASURED[name]
