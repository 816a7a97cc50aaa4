"""Makes the helpers that lie beside this file importable for the tests of all rooms."""
