"""What the tests of training share."""

import pytest


@pytest.fixture(scope='module')
def one_thread():
    """Torch on one thread: so small a model is slower on more, and other tests want their cores."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
