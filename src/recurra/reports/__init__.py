"""Pages about runs: one builder, one kind of table, and the sections that all tasks share."""

from recurra.reports.card import card
from recurra.reports.class_sections import ClassFigures, class_table, confusion_table, percent
from recurra.reports.examples import Example, Examples, Media
from recurra.reports.headline import Headline, Mark
from recurra.reports.html_page import (
    Picture,
    Section,
    TextTable,
    amended,
    carried_over,
    drawn_section,
    report,
)
from recurra.reports.inspection_report import (
    COLUMNS,
    inspection_sections,
    layer_row,
    watched_sections,
)

__all__ = [
    "COLUMNS",
    "ClassFigures",
    "Example",
    "Examples",
    "Headline",
    "Mark",
    "Media",
    "Picture",
    "Section",
    "TextTable",
    "amended",
    "card",
    "carried_over",
    "class_table",
    "confusion_table",
    "drawn_section",
    "inspection_sections",
    "layer_row",
    "percent",
    "report",
    "watched_sections",
]
