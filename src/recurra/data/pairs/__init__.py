"""Pairs of a source and its targets, for what turns one sequence into another."""
