"""The table of modules in ARCHITECTURE.md, from the first sentence of each module. Run by `make docs`."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def first_sentence(path: Path) -> str:
    """What the module says of itself, up to the first full stop, or to the end of its first line."""
    text = ast.get_docstring(ast.parse(path.read_text()))
    assert text, f"{path.relative_to(ROOT)} does not start with a sentence that says what is in it"
    return text.splitlines()[0].split(". ")[0].rstrip(".")


def modules(folder: str) -> list[Path]:
    """The Python files below a folder: first its own, then those of the folders in it."""
    return sorted((ROOT / folder).rglob("*.py"), key=lambda path: (len(path.parts), path.as_posix()))


def table(*folders: str) -> str:
    """The modules of these folders as a Markdown table."""
    rows = [
        f"| `{path.relative_to(ROOT).as_posix()}` | {first_sentence(path).replace('|', chr(92) + '|')} |"
        for folder in folders
        for path in modules(folder)
        if not {".venv", "build", "dist"} & set(path.parts)
    ]
    return "\n".join(["| module | what is in it |", "|---|---|", *rows])
