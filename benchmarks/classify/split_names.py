"""The names by nationality as one table: python split_names.py FOLDER names.csv.

Every fifth name of each file, from the fifth on, is for the test, as the data's own rule has it.
"""

import csv
import sys
from pathlib import Path


def main(folder, table):
    """Write columns name, nationality and split."""
    with Path(table).open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["name", "nationality", "split"])
        for path in sorted(Path(folder).glob("*.txt")):
            for number, name in enumerate(path.read_text("utf-8").splitlines()):
                rows.writerow([name, path.stem, "test" if number % 5 == 4 else "train"])


if __name__ == "__main__":
    main(*sys.argv[1:])
