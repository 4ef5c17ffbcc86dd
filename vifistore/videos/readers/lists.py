"""A folder of lists: one split for each of its text files."""

from pathlib import Path

from vifistore.videos.class_search import is_class_file
from vifistore.videos.text_lines import files_in


def lists_in(folder: Path) -> list[Path]:
    """The lists and tables of a folder: its text files but for class files and documents."""
    documents = ("readme", "license", "licence")
    return [
        path
        for path in files_in(folder, ".txt", ".csv", ".tsv")
        if not path.name.lower().startswith(documents) and not is_class_file(path)
    ]
