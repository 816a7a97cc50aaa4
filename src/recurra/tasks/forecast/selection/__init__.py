"""Choice of model, settings and length of training by the data, in a budget of time."""
