"""Evaluation of forecasts: rolling origins, baselines, scores, verdicts."""
