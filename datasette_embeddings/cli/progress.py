"""Progress on a terminal as a bar, elsewhere as a line now and then; and what a job says in words."""

from __future__ import annotations

import shutil
import sys
import time

import click

from ..engine.jobs import Job

LINE_SECONDS = 10.0  # between two lines where there is no terminal


class Progress:
    """Shows one job after another state of it, on stderr; used by one thread."""

    def __init__(self, label: str) -> None:
        self.label = label
        self._bar = None
        self._said = time.monotonic()

    def show(self, job: Job) -> None:
        """Draw the job's progress; nothing before its rows are counted."""
        if not job.rows_total:
            return
        if sys.stderr.isatty():
            self._draw(job)
        elif time.monotonic() - self._said >= LINE_SECONDS:
            self._said = time.monotonic()
            click.echo(f"{self.label}: {progress_text(job)}", err=True)

    def say(self, message: str) -> None:
        """A line of its own, below the bar."""
        self.close()
        click.echo(message, err=True)

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.render_finish()
            self._bar = None

    def _draw(self, job: Job) -> None:
        if self._bar is None:
            width = max(4, min(30, shutil.get_terminal_size().columns - 70))
            self._bar = click.progressbar(
                length=1, label=self.label[:16], file=sys.stderr, width=width, show_eta=False, item_show_func=_bar_text
            )
        # Not update(): a walk that begins anew goes back.
        self._bar.length, self._bar.pos, self._bar.current_item = job.rows_total, job.rows_done, job
        self._bar.render_progress()


def progress_text(job: Job) -> str:
    """Rows, rate and time left."""
    parts = [f"{job.rows_done:,} of {job.rows_total or 0:,} rows"]
    if job.rate and job.is_active:
        parts.append(f"{job.rate:,.0f} rows/s" if job.rate >= 10 else f"{job.rate:.1f} rows/s")
    if job.seconds_left:
        parts.append(f"{duration(job.seconds_left)} left")
    return ", ".join(parts)


def job_line(job: Job | None) -> str:
    """A job in one line: its status, how far it is, and why it stopped."""
    if job is None:
        return "no job yet"
    line = f"job {job.id} {job.status}"
    if job.ended is None and job.rows_total is not None:
        line += f": {progress_text(job)}"
    return f"{line}: {job.reason}" if job.reason else line


def duration(seconds: float) -> str:
    """Seconds as a person says them: 8 s, 2 min 5 s, 3 h 20 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _bar_text(job: Job | None) -> str | None:
    return progress_text(job) if job else None
