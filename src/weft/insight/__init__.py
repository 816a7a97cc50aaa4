"""What a run tells about itself: its report."""

from weft.insight.report import Section, report

__all__ = ["Section", "report"]
