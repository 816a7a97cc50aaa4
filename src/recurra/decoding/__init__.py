"""From scores to symbols: what several tasks share."""
