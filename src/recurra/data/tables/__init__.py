"""Tables from files and frames: their columns, layouts and time stamps."""
