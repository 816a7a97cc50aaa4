"""README.md of a run: its model card, in Markdown, from the sections that the report shows."""

import json
from collections.abc import Mapping, Sequence

from recurra.reports.headline import Headline
from recurra.reports.html_page import Section, TextTable

__all__ = ["card"]


def card(
    title: str,
    sections: Sequence[Section],
    use: Sequence[str],
    metadata: Mapping[str, str | Sequence[str]] | None = None,
) -> str:
    """The card; `use` are commands. Pictures and curves are left to the report.

    `metadata` stands above it as YAML, which model hubs read.

    >>> print(card("A run", [Section("Data", {"file": "a.txt"})], ["recurra evaluate run"]))
    # A run
    <BLANKLINE>
    ## Data
    <BLANKLINE>
    - File: a.txt
    <BLANKLINE>
    ## Use
    <BLANKLINE>
    ```sh
    recurra evaluate run
    ```
    <BLANKLINE>
    """
    parts = [*_header(metadata or {}), f"# {title}", *filter(None, map(_section, sections))]
    if use:
        parts.append("\n".join(["## Use", "", "```sh", *use, "```"]))
    return "\n\n".join(parts) + "\n"


def _header(metadata: Mapping[str, str | Sequence[str]]) -> list[str]:
    """Texts and lists of texts as YAML, each in quotes, between two lines of dashes."""
    if not metadata:
        return []
    lines = []
    for name, value in metadata.items():
        if isinstance(value, str):
            lines.append(f"{name}: {json.dumps(value)}")
        else:
            lines += [f"{name}:", *(f"- {json.dumps(each)}" for each in value)]
    return ["\n".join(["---", *lines, "---"])]


def _section(section: Section) -> str:
    content = section.content
    if isinstance(content, TextTable | Headline):
        lines = [content.markdown()]
    elif isinstance(content, Mapping):
        lines = [f"- {_sentence(name)}: {value}" for name, value in content.items()]
    elif isinstance(content, str):
        lines = [content]
    elif isinstance(content, Sequence):
        lines = [f"- {sentence}" for sentence in content]
    else:
        return ""
    heading = [f"## {section.title}", ""] if section.title else []
    return "\n".join([*heading, *lines])


def _sentence(name: str) -> str:
    return name[0].upper() + name[1:]
