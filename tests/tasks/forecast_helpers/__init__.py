"""Helpers of the tests of forecasting: small tables, forecasters and networks, M4's files."""
