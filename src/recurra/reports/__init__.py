"""Pages about runs: one builder, and the sections that several tasks show."""

from recurra.reports.card import card
from recurra.reports.inspection import COLUMNS, inspection_sections, layer_row, watched_sections
from recurra.reports.page import Picture, Section, Table, amended, carried_over, report

__all__ = [
    "COLUMNS",
    "Picture",
    "Section",
    "Table",
    "amended",
    "card",
    "carried_over",
    "inspection_sections",
    "layer_row",
    "report",
    "watched_sections",
]
