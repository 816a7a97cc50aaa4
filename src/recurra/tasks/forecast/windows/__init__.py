"""Windows cut from panels: splits, scaling, batches."""
