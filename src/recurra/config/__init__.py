"""Settings: options with limits and help, TOML files, and those that tasks share."""
