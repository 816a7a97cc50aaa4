"""Calibration of quantiles, offline and while actual values arrive."""
