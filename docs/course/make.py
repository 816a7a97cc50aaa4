"""Runs the code of the course's pages, which draws their pictures: python docs/course/make.py."""

import os
import re
from pathlib import Path

HERE = Path(__file__).parent


def code_of(page):
    """The page's code, one block after another."""
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


def main():
    """Run every page in a namespace of its own."""
    os.chdir(HERE)
    for page in sorted(HERE.glob("[1-9]-*.md")):
        names = {}
        for code in code_of(page):
            exec(compile(code, page.name, "exec"), names)


if __name__ == "__main__":
    main()
