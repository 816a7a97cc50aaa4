"""Panels of series on a grid of time, with covariates and calendar features."""
