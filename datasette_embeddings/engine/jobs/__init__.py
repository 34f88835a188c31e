"""Jobs, one pass each that brings a collection up to date: guarded changes of status, and leases."""

from .actions import act
from .job import CANCELLED, COUNTS, FAILED, FINISHED, KINDS, NOTED, PAUSED, PENDING, RETRIED, ROWS, RUNNING, Job, counts
from .leases import advance, begin, check, claim, end, explain, is_ours, move, new_owner, release, renew
from .limits import NOTHING, Given, Limits, check_affordable
from .stored import claimable_job, create_job, get_job, latest_job, set_limits

__all__ = [
    "CANCELLED",
    "COUNTS",
    "FAILED",
    "FINISHED",
    "KINDS",
    "NOTED",
    "NOTHING",
    "PAUSED",
    "PENDING",
    "RETRIED",
    "ROWS",
    "RUNNING",
    "Given",
    "Job",
    "Limits",
    "act",
    "advance",
    "begin",
    "check",
    "check_affordable",
    "claim",
    "claimable_job",
    "counts",
    "create_job",
    "end",
    "explain",
    "get_job",
    "is_ours",
    "latest_job",
    "move",
    "new_owner",
    "release",
    "renew",
    "set_limits",
]
