"""The simple recurrent network that starts by copying its state."""

from statistics import NormalDist
from typing import ClassVar

from recurra.cells.cell import Initial
from recurra.cells.rnn import RNN

__all__ = ["IRNN"]


class IRNN(RNN):
    """Simple recurrent network of relus that starts from the identity (Le et al. 2015).

    The equation is that of the relu RNN; the initialisation makes it the IRNN. As in the paper U is
    the identity, the biases are zeros, and W is normal with standard deviation 0.001.
    """

    source = (
        "Q. V. Le, N. Jaitly, G. E. Hinton, A simple way to initialize recurrent networks of "
        "rectified linear units, arXiv:1504.00941"
    )
    init: ClassVar[Initial] = {"W": NormalDist(0.0, 0.001).inv_cdf, "U": "identity", "b": "zeros"}

    nonlinearity: str = "relu"
