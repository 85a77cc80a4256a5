"""How the weights of a small network start."""

from collections.abc import Callable

from torch import nn


def initialise(net: nn.Module, zero: Callable[[str], bool]) -> None:
    """Xavier weights, norms of one, biases of zero, and zeros where ``zero`` says so of a parameter's name."""
    for name, parameter in net.named_parameters():
        if parameter.ndim == 1:
            nn.init.zeros_(parameter) if name.endswith("bias") else nn.init.ones_(parameter)
        elif zero(name):
            nn.init.zeros_(parameter)
        else:
            nn.init.xavier_uniform_(parameter)
