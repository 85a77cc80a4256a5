"""Fixtures for every test. Run through `python dev.py test`, which provides the host and the environment."""

import pytest
import torch

torch.set_num_threads(1)


def pytest_addoption(parser):
    parser.addoption(
        "--long", action="store_true", help="all tiny models in every composition, not a few; half an hour"
    )


@pytest.fixture(autouse=True)
def _no_grad():
    """As the host samples."""
    with torch.no_grad():
        yield
