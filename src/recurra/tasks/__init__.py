"""Tasks: each is data, a model, a loss and decoding, and none knows of another."""
