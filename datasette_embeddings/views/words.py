"""The sentences of the pages: progress, what will be embedded and what would be cut off."""

from __future__ import annotations

import re

from ..engine import jobs
from ..engine.jobs import Job
from ..engine.preview import Chunked, Cut, Preview
from ..wording import counted, progress_text

# The folders of an absolute path: in quotes up to the last slash, for they may hold blanks; elsewhere not those of a
# URL, whose slashes follow a colon, a slash or a name, nor those of a page such as /-/secrets.
_FOLDERS = re.compile(r"""(?<=['"])~?/[^'"\n]*/|(?<![\w.:/~])(?:[A-Za-z]:\\(?:[^\\\s]+\\)*|~?/(?!-/)(?:[^\s/'"]+/)+)""")


def without_folders(text: str) -> str:
    """A message of a model or of SQLite without the folders of this machine: the server's log has the whole."""
    return _FOLDERS.sub("…/", text)


def progress(job: Job) -> str:
    """How far a job has come, in one line."""
    return progress_text(job) or ("Waiting to begin" if job.status == jobs.PENDING else "Not begun")


def amount(preview: Preview, *, binary: bool) -> str:
    """What will be embedded, in one sentence."""
    if not preview.rows:
        return "There is nothing to embed: every row is empty here" if preview.empty else "The table has no rows"
    unit = "byte" if binary else "character"
    more = "" if preview.complete else "more than "
    sentence = f"{more}{counted(preview.rows, 'row')} with {more}{counted(preview.size, unit)} will be embedded"
    if preview.empty:
        verb = "has" if preview.empty == 1 else "have"
        sentence += f"; {counted(preview.empty, 'row')} {verb} nothing to embed"
    return sentence[0].upper() + sentence[1:]


def chunks_text(chunked: Chunked, preview: Preview) -> str | None:
    """How many rows will be cut into how many chunks, by what a sample of them says; None where none will."""
    if not chunked.rows:
        return None
    if chunked.checked == preview.rows and preview.complete:
        return f"{counted(chunked.rows, 'row')} with long texts will be cut into {chunked.chunks:,} chunks"
    scale = preview.rows / chunked.checked
    more = "" if preview.complete else "more than "
    rows, chunks = round(chunked.rows * scale), round(chunked.chunks * scale)
    about = f"{more}about {counted(rows, 'row')} will be cut into {more}about {chunks:,} chunks"
    return f"{about[0].upper()}{about[1:]}, to judge by the first {counted(chunked.checked, 'row')}"


def cut_off(cut: Cut | None, max_tokens: int | None, *, divisible: bool = True) -> str | None:
    """The warning that a model reads only the beginning of some contents; None where it reads them whole."""
    if cut is None or not cut.longer:
        return None
    verb = "is" if cut.longer == 1 else "are"
    remedy = "let long texts be cut" if divisible else "put {{ chunk }} in the template where the text goes"
    return (
        f"{cut.longer:,} of the first {counted(cut.checked, 'content')} {verb} longer than the {max_tokens:,} tokens "
        f"this model reads; the rest of each is not embedded. To have all of it read, {remedy}"
    )
