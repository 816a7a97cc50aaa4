"""Statistical forecasts: fitted to each history by itself, without training."""
