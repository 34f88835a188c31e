"""Progress on a terminal as a bar, elsewhere as a line now and then."""

from __future__ import annotations

import shutil
import sys
import time
from typing import Any, NamedTuple

import click

from ..engine.jobs import Job
from ..wording import counted, progress_text

LINE_SECONDS = 10.0  # between two lines where there is no terminal


class _State(NamedTuple):
    done: int
    total: int
    text: str
    waits: str | None = None  # for what


class Progress:
    """Shows on stderr how something gets on, a job as a rule; any thread may note(), one draws."""

    def __init__(self) -> None:
        self.label = ""
        self._state: _State | None = None
        self._bar: Any = None
        self._said = time.monotonic()
        self._reason: str | None = None  # the last one that was said

    def note(self, job: Job) -> None:
        """The job as it now stands, to be shown by the next draw()."""
        waits = job.reason if job.is_waiting else None
        self._state = _State(job.rows_done, job.rows_total or 0, progress_text(job), waits)

    def count(self, done: int, total: int) -> None:
        """So many rows done, where there is no job; shown at once."""
        self._state = _State(done, total, f"{done:,} of {counted(total, 'row')}")
        self.draw()

    def draw(self) -> None:
        """Show the state that was noted last; nothing before its rows are counted."""
        state = self._state
        if state is None or not state.total:
            return
        if state.waits and state.waits != self._reason:
            self._reason = state.waits
            self.say(f"{self.label}: {state.waits}")
        if sys.stderr.isatty():
            self._draw_bar(state)
        elif time.monotonic() - self._said >= LINE_SECONDS:
            self._said = time.monotonic()
            click.echo(f"{self.label}: {state.text}", err=True)

    def say(self, message: str) -> None:
        """A line of its own, below the bar."""
        self.close()
        click.echo(one_line(message), err=True)

    def close(self) -> None:
        """Show the last state, and leave the bar as it then stands."""
        self.draw()
        if self._bar is not None:
            self._bar.render_finish()
            self._bar = None

    def _draw_bar(self, state: _State) -> None:
        if self._bar is None:
            self._bar = click.progressbar(length=1, file=sys.stderr, show_eta=False, item_show_func=lambda text: text)
        bar, text = self._bar, state.text
        # A line that wraps would be drawn below itself again and again.
        room = shutil.get_terminal_size().columns - len("  []  100%  ") - len(text) - 1
        bar.label = one_line(self.label)[: max(0, min(20, room - 5))]
        bar.width = max(0, min(30, room - len(bar.label)))
        # Not update(): a walk that begins anew goes back.
        bar.length, bar.pos, bar.current_item = state.total, state.done, text
        bar.render_progress()


def one_line(text: str) -> str:
    """A text that came out of the database, without what a terminal would obey."""
    return "".join(character if character.isprintable() else " " for character in text)
