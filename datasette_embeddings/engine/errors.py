"""The errors that reach a person: each message is a sentence that names the thing."""

from __future__ import annotations

import os


class EmbedError(Exception):
    """Base of every error we raise on purpose; `status` is the HTTP status a page answers with."""

    status = 400


class NotFound(EmbedError):
    """A database, table, column, collection, job or model that is not there."""

    status = 404


class UnknownModel(EmbedError):
    """A model name that no installed plugin registered."""


class UnknownColumn(EmbedError):
    """A column that the table does not have."""


class BadTemplate(EmbedError):
    """A template that names no column, or one that the table does not have."""


class Conflict(EmbedError):
    """Something of that name exists with another definition, or a status forbids the action."""

    status = 409


class CannotEmbed(EmbedError):
    """A table, column or database that cannot be embedded, and why."""


class ReadOnlyDatabase(CannotEmbed):
    """A database that cannot be written."""


class NewerSchema(EmbedError):
    """The file was written by a newer version of this package."""

    status = 409


class OlderSchema(EmbedError):
    """The file was written by an older version of this package, and has not been brought up to date."""

    status = 409


class VectorError(EmbedError):
    """Bytes or JSON that are no vector, or two vectors of different lengths."""


class ModelError(EmbedError):
    """A model raised while it embedded a batch; the cause is chained."""

    status = 502


class ModelResultError(ModelError):
    """What a model returned is not one finite vector of one length per content."""


class ContentRefused(ModelError):
    """A content of a kind or size that the model will never take: it is not tried again until somebody asks.

    Model plugins raise it for what no other attempt will mend.
    """

    status = 400


class ModelUnavailable(ModelError):
    """A fault that every further batch would meet too: a job that meets it is failed, not retried row by row.

    Model plugins raise it (or KeyRefused) for what no other content will mend.
    """

    status = 503


class ModelLoadError(ModelUnavailable):
    """A model's `load()` raised; the cause is chained."""


class KeyRefused(ModelUnavailable):
    """A key that is missing, or that the model's server refused."""


class ModelBusy(ModelError):
    """A fault that passes (429, 5xx, a time-out): a job waits, and hands the same batch over again.

    Model plugins raise it once their own quick retries are used up; `retry_after` is in seconds, where the server said.
    """

    status = 503

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class LeaseLost(EmbedError):
    """The job is no longer this process's to run: paused, cancelled, deleted or taken over."""

    status = 409


def raising() -> bool:
    """True where DATASETTE_EMBED_RAISE_ERRORS asks every door to raise instead of reporting."""
    return os.environ.get("DATASETTE_EMBED_RAISE_ERRORS", "") not in ("", "0")


def describe(error: BaseException) -> str:
    """An error in one line: its message, or its type where it has none."""
    return " ".join(str(error).split()) or type(error).__name__
