"""Sound: read from files of any format, resampled, turned into features, perturbed."""
