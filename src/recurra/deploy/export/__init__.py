"""Trained runs as programs for other machines: ONNX, C, a page, torch's own layers."""
