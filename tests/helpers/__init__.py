"""Oracles, toy cells and models that several tests share."""
