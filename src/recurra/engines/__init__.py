"""Engines, strangers to one another: each runs a cell's graph."""
