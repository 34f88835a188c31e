"""What the pages and the commands say alike: numbers with their nouns, lengths of time, how far a job has come."""

from __future__ import annotations

from .engine import jobs
from .engine.jobs import Job


def counted(number: int, noun: str) -> str:
    """1 row; 1,234 rows."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """0.4 s; 8 s; 2 min 5 s; 3 h 20 min."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def progress_text(job: Job) -> str:
    """How far a job has come: rows, while it gets on the rate and the time left, failures; "" before rows are counted."""
    if job.rows_total is None:
        return ""
    parts = [f"{job.rows_done:,} of {counted(job.rows_total, 'row')}"]
    if job.status == jobs.RUNNING and job.rate and not job.is_waiting:
        parts.append(f"{job.rate:,.0f} rows/s" if job.rate >= 10 else f"{job.rate:.1f} rows/s")
        if job.seconds_left:
            parts.append(f"{duration(job.seconds_left)} left")
    if job.failed:
        parts.append(f"{job.failed:,} failed")
    return ", ".join(parts)
