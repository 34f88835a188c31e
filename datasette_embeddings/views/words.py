"""The sentences of the pages: progress, time left, what will be embedded and what would be cut off."""

from __future__ import annotations

import re

from ..engine import jobs
from ..engine.jobs import Job
from ..engine.preview import Cut, Preview

# The folders of an absolute path: in quotes up to the last slash, for they may hold blanks; elsewhere not those of a
# URL, whose slashes follow a colon, a slash or a name.
_FOLDERS = re.compile(r"""(?<=['"])~?/[^'"\n]*/|(?<![\w.:/~])(?:[A-Za-z]:\\(?:[^\\\s]+\\)*|~?/(?:[^\s/'"]+/)+)""")


def without_folders(text: str) -> str:
    """A message of a model or of SQLite without the folders of this machine: the server's log has the whole."""
    return _FOLDERS.sub("…/", text)


def counted(number: int, noun: str) -> str:
    """1 row; 1,234 rows."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """About how long this is."""
    if seconds < 1:
        return "less than a second"
    if seconds < 90:
        return f"about {counted(round(seconds), 'second')}"
    if seconds < 90 * 60:
        return f"about {counted(round(seconds / 60), 'minute')}"
    return f"about {counted(round(seconds / 3600), 'hour')}"


def progress(job: Job) -> str:
    """How far a job has come, in one line."""
    if job.rows_total is None:
        return "Waiting to begin" if job.status == jobs.PENDING else "Not begun"
    parts = [f"{job.rows_done:,} of {counted(job.rows_total, 'row')}"]
    if job.status == jobs.RUNNING and job.rate:
        parts.append(f"{_rate(job.rate)} rows a second")
        if job.seconds_left is not None:
            parts.append(f"{duration(job.seconds_left)} left")
    if job.failed:
        parts.append(f"{job.failed:,} failed")
    return ", ".join(parts)


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"


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


def cut_off(cut: Cut | None, max_tokens: int | None) -> str | None:
    """The warning that a model reads only the beginning of some contents; None where it reads them whole."""
    if cut is None or not cut.longer:
        return None
    verb = "is" if cut.longer == 1 else "are"
    return (
        f"{cut.longer:,} of the first {counted(cut.checked, 'content')} {verb} longer than the "
        f"{max_tokens:,} tokens this model reads; the rest of each is not embedded"
    )
