"""Figures that tell how well a model does: error rates, intervals, calibration."""
