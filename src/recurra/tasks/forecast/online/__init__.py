"""Series followed one observation at a time: streams and anomaly scores."""
