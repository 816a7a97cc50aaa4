"""Layers above one another: directions, skips, dilation, and states carried between calls."""
