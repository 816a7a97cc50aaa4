"""What the language refuses. The whole tree of exceptions is drawn in `weft.errors`."""


class WeftError(Exception):
    """The root of every exception that Weft raises on its own account."""


class CellError(WeftError, ValueError):
    """A cell's equations can't be: the message names the file, the line and the equation."""
