"""What the pages and the commands say alike."""

from dataclasses import fields

import pytest

from datasette_embeddings.engine.jobs import Job
from datasette_embeddings.wording import counted, duration, progress_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (59.2, "59 s"),
        (125, "2 min 5 s"),
        (12000, "3 h 20 min"),
        (3.6e6, "1,000 h 0 min"),
    ],
)
def test_durations(seconds, text):
    """As a person says them, in no more space than a bar has."""
    assert duration(seconds) == text


def test_numbers_with_their_nouns():
    """One of them is no plural."""
    assert [counted(number, "row") for number in (0, 1, 1234)] == ["0 rows", "1 row", "1,234 rows"]


def job(**changes):
    names = [field.name for field in fields(Job)]
    return Job(**{**dict.fromkeys(names), "rows_done": 0, "failed": 0, "status": "running", **changes})


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ({}, ""),
        ({"rows_total": 5000}, "0 of 5,000 rows"),
        ({"rows_total": 5000, "rows_done": 1000, "rate": 310.4}, "1,000 of 5,000 rows, 310 rows/s, 13 s left"),
        ({"rows_total": 10, "rows_done": 9, "rate": 0.52}, "9 of 10 rows, 0.5 rows/s, 1.9 s left"),
        ({"rows_total": 10, "rows_done": 10, "rate": 0.52}, "10 of 10 rows, 0.5 rows/s"),
        ({"rows_total": 10, "rows_done": 9, "rate": 0.52, "reason": "Waiting"}, "9 of 10 rows"),
        ({"status": "paused", "rows_total": 10, "rows_done": 9, "rate": 9.0}, "9 of 10 rows"),
        ({"status": "finished", "rows_total": 1, "rows_done": 1, "rate": 9.0, "failed": 1}, "1 of 1 row, 1 failed"),
    ],
)
def test_progress(state, text):
    """Rows done, while it runs the rate and the time left, and what failed."""
    assert progress_text(job(**state)) == text
