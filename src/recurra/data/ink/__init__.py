"""Pen strokes: read from files, normalised, turned into features, distorted."""
