"""Tables from files and frames: columns, layouts, timestamps."""
