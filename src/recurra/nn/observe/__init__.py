"""Observers of recurrent layers: traces, gradients at each step, recorded runs."""
