"""torch's recurrent layers and cells as drop-ins, and recurrent layers of any cell."""
