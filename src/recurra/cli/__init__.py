"""The command line: each verb parses, calls and prints; what it does lives elsewhere."""

from recurra.cli.app import main

__all__ = ["main"]
