"""Makes `forecast_helpers`, which lies beside this file, importable for the tests of all rooms."""
