"""What the language refuses. The whole tree of exceptions is drawn in `recurra.errors`."""


class RecurraError(Exception):
    """The root of every exception that Recurra raises on its own account."""


class CellError(RecurraError, ValueError):
    """A cell's equations can't be: the message names the file, the line and the equation."""
