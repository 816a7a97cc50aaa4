"""What every test shares: one thread for torch, a fixed seed, and real data where it is at hand."""

import pytest
import torch

from weft import settings

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def real_data():
    """The folder of real data; the test is skipped, saying so, where WEFT_DATA is unset."""
    folder = settings.data_folder()
    if folder is None:
        pytest.skip("WEFT_DATA is unset: no real data here")
    return folder
