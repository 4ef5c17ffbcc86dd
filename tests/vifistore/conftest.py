"""What tests of several rooms need."""

import pytest
import torch


@pytest.fixture
def gpu() -> torch.device:
    """An NVIDIA GPU, for tests that are marked so."""
    if not torch.cuda.is_available():
        pytest.skip("there is no NVIDIA GPU")
    return torch.device("cuda", 0)
