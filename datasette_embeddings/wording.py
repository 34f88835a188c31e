"""What the pages and the commands say alike: numbers with their nouns, lengths of time, how far a job has come."""

from __future__ import annotations

from .engine import jobs
from .engine.collections import Definition
from .engine.estimate import Estimate
from .engine.follow.standing import Standing
from .engine.jobs import Job
from .engine.prices import cost_of, dollars


def counted(number: int, noun: str) -> str:
    """1 row; 1,234 rows."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def long_texts(definition: Definition, max_tokens: int | None) -> str | None:
    """What becomes of texts that are longer than the model reads, as far as it says how much; None of binary."""
    if definition.binary:
        return None
    if definition.chunking is not None:
        return str(definition.chunking)
    return f"not cut, so the model reads their first {max_tokens:,} tokens only" if max_tokens else "not cut"


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


def estimate_text(found: Estimate) -> str:
    """What the model would be given, what that costs where it has a price, and how far that is known."""
    survey = found.survey
    about = "" if survey.seen is None else "about "
    text = f"{about}{counted(survey.contents, 'content')} would go to the model"
    if found.cost is not None and found.tokens is not None:
        roughly = "" if found.is_exact else "about "
        text += f": {roughly}{counted(found.tokens, 'token')}, {roughly}{dollars(found.cost)}"
    sentences = [text]
    if survey.stored:
        verb = "is" if survey.stored == 1 else "are"
        sentences.append(f"{about}{survey.stored:,} more {verb} stored already, or equal to one of these")
    if survey.postponed:
        verb = "is" if survey.postponed == 1 else "are"
        sentences.append(f"{about}{survey.postponed:,} more failed before, and {verb} postponed")
    if survey.seen is not None:
        sentences.append(f"estimated from {counted(survey.seen, 'row')} of the table")
    if found.cost is not None and not found.counted:
        sentences.append("tokens are estimated by length")
    return ". ".join(sentence[0].upper() + sentence[1:] for sentence in sentences)


def following_text(standing: Standing) -> str:
    """How a collection that is kept up to date stands with the changes of its table."""
    if standing.remark:
        return standing.remark
    found = standing.waiting
    if found.rows:
        since = f" since {_moment(found.since)}" if found.since else ""
        return f"{counted(found.rows, 'changed row')} {'waits' if found.rows == 1 else 'wait'}{since}"
    last = f"; the last was dealt with at {_moment(standing.caught_up)}" if standing.caught_up else ""
    return f"Kept up to date: no change waits{last}"


def _moment(utc: str) -> str:
    return utc.replace("T", " ").replace("Z", " UTC")


def spent_text(job: Job, price: float) -> str:
    """What a job has handed to a model with a price, and what that cost, with its limit."""
    limit = f" of {dollars(job.max_cost)}" if job.max_cost is not None else ""
    return f"{counted(job.tokens, 'token')}, {dollars(cost_of(job.tokens, price))}{limit}"


def walked(job: Job, number: int) -> str:
    """So many of what the job goes through: rows, or changes that were noted."""
    return counted(number, "change" if job.kind == jobs.NOTED else "row")


def progress_text(job: Job) -> str:
    """How far a job has come: rows, while it gets on rate and time left, failures; "" before rows are counted."""
    if job.rows_total is None:
        return ""
    parts = [f"{job.rows_done:,} of {walked(job, job.rows_total)}"]
    if job.status == jobs.RUNNING and job.rate and not job.is_waiting:
        parts.append(f"{job.rate:,.0f} rows/s" if job.rate >= 10 else f"{job.rate:.1f} rows/s")
        if job.seconds_left:
            parts.append(f"{duration(job.seconds_left)} left")
    parts += [f"{number:,} {name}" for name in ("failed", "postponed") if (number := getattr(job, name))]
    return ", ".join(parts)
