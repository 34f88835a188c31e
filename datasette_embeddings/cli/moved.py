"""What the commands that move collections to and from LLM tell: how they get on, and what became of the vectors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ..engine.llm.tally import Tally
from ..wording import counted, duration
from .progress import Progress


@contextlib.contextmanager
def progress(name: str) -> Iterator[Progress]:
    """A Progress under this name; its count() takes what is done and the total."""
    shown = Progress()
    shown.label = name
    with contextlib.closing(shown):
        yield shown


def summary(name: str, verb: str, tally: Tally, seconds: float) -> str:
    """The one line on standard output."""
    parts = {verb: tally.moved, "there already": tally.there, "left out": tally.left_out.total()}
    counts = ", ".join(f"{number:,} {what}" for what, number in parts.items() if number or what == verb)
    return f"{name}: {counted(tally.walked, 'row')} in {duration(seconds)}: {counts}"


def left_out(tally: Tally, noun: str) -> str:
    """The reasons, each with its number."""
    lines = [f"{counted(tally.left_out.total(), noun)} left out:"]
    return "\n".join([*lines, *(f"  {number:,} with {reason}" for reason, number in tally.left_out.most_common())])
