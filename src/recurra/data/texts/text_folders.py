"""Folders of texts by class: a folder for each class, or a file for each with a text a line."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from recurra.data.texts.text_file import TextRow, read_text_file
from recurra.data.texts.text_lines import recognise_lines
from recurra.data.transcripts.folder_items import folder_files
from recurra.errors import DataError

__all__ = ["class_folder_rows"]


def class_folder_rows(
    folder: Path, *, labels: bool, encoding: str, notes: list[str]
) -> Iterator[TextRow]:
    """The texts of folder/CLASS/name.txt, or else the lines of folder/CLASS.txt.

    Without `labels`, each .txt file in the folder or one below it is a text. Raises DataError where
    there are none of these, or classes lie deeper.
    """
    files = [file for file in folder_files(folder) if file.suffix.lower() == ".txt"]
    inside = [file for file in files if len(file.relative_to(folder).parts) == 2]
    beside = [file for file in files if file.parent == folder]
    deeper = [file for file in files if file not in {*inside, *beside}]
    if deeper:
        names = dict.fromkeys(file.relative_to(folder).parts[0] for file in deeper)
        raise DataError(
            f"{folder}: has texts in folders of folders ({deeper[0].relative_to(folder)}); name "
            f"the folder whose folders are the classes: {', '.join(list(names)[:5])}."
        )
    if inside or (beside and not labels):
        if labels and beside:
            notes.append(f"{folder}: {len(beside):,} .txt files beside its folders aren't read.")
        yield from _whole_files(folder, inside if labels else files, labels, encoding)
    elif len(beside) > 1:
        yield from _class_files(folder, beside, encoding, notes)
    else:
        raise DataError(
            f"{folder}: has no folders with .txt files, one for each class, nor a .txt file for "
            "each class; give such a folder, or a file with labels."
        )


def _whole_files(
    folder: Path, files: Sequence[Path], labels: bool, encoding: str
) -> Iterator[TextRow]:
    for file in files:
        name, origin = str(file.relative_to(folder)), str(file)
        label = file.parent.name if labels else None
        try:
            found = read_text_file(file, encoding)
        except DataError as error:
            yield TextRow(name, origin, problem=str(error).removeprefix(f"{origin}: "))
            continue
        problem = next(iter(found.damaged.values()), "")
        reason = "is not UTF-8" if problem else ""
        yield TextRow(name, origin, found.content, label, None, problem, reason)


def _class_files(
    folder: Path, files: Sequence[Path], encoding: str, notes: list[str]
) -> Iterator[TextRow]:
    opened = [read_text_file(file, encoding) for file in files]
    for file in opened:
        try:
            layout = recognise_lines(file, labels=True)
        except DataError:
            continue
        raise DataError(
            f"{file.path}: its lines have labels of their own ({layout}), so the files of "
            f"{folder} aren't classes; name the file to read."
        )
    notes.append(
        f"{folder}: each of its {len(files):,} .txt files was read as a class, each line as a text."
    )
    for file in opened:
        for number, line in file.lines():
            yield file.row(number, line, file.path.stem)
