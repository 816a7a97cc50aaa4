"""Prediction intervals: calibration, adaptation, and the sample size they rest on."""
