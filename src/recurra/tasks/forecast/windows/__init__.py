"""Windows cut from panels: splits, scaling, calendar features."""
