"""The simple recurrent network that starts by copying its state."""

from statistics import NormalDist

from recurra.cells.rnn import RNN

__all__ = ["IRNN"]


class IRNN(RNN):
    """Simple recurrent network of relus that starts from the identity (Le et al. 2015).

    The equation is the relu RNN's. What makes it the IRNN is how it starts: U the identity, the
    biases zeros, W normal with standard deviation 0.001, as the paper has them.
    """

    source = (
        "Q. V. Le, N. Jaitly, G. E. Hinton, A simple way to initialize recurrent networks of "
        "rectified linear units, arXiv:1504.00941"
    )
    init = {"W": NormalDist(0.0, 0.001).inv_cdf, "U": "identity", "b": "zeros"}

    nonlinearity: str = "relu"
