"""The sentences of the pages."""

from dataclasses import fields, replace

import pytest

from datasette_embeddings.engine.jobs import Job
from datasette_embeddings.engine.preview import Chunked, Cut, Preview
from datasette_embeddings.views.words import amount, chunks_text, cut_off, progress, without_folders


@pytest.mark.parametrize(
    ("preview", "sentence"),
    [
        (Preview(1, 0, 5, True, ("to be",)), "1 row with 5 characters will be embedded"),
        (
            Preview(2, 1, 1234, True, ("to be",)),
            "2 rows with 1,234 characters will be embedded; 1 row has nothing to embed",
        ),
        (
            Preview(5000, 0, 9000, False, ("to be",)),
            "More than 5,000 rows with more than 9,000 characters will be embedded",
        ),
        (Preview(0, 3, 0, True, ()), "There is nothing to embed: every row is empty here"),
        (Preview(0, 0, 0, True, ()), "The table has no rows"),
    ],
)
def test_what_will_be_embedded(preview, sentence):
    """How much there is, and more where the counting was cut short."""
    assert amount(preview, binary=False) == sentence


def test_what_is_cut_off():
    """A warning only where something is lost."""
    assert cut_off(None, 256) is None
    assert cut_off(Cut(1000, 0), 256) is None
    assert cut_off(Cut(1000, 1), 256) == (
        "1 of the first 1,000 contents is longer than the 256 tokens this model reads; the rest of each is not "
        "embedded. To have all of it read, let long texts be cut"
    )
    assert cut_off(Cut(10, 2), 256, divisible=False).endswith("put {{ chunk }} in the template where the text goes")


def test_what_will_be_cut_into_chunks():
    """Exact where every row was looked at, else by what the sample says of the others."""
    preview = Preview(1000, 0, 5, True, ())
    assert chunks_text(Chunked(1000, 0, 0), preview) is None
    assert chunks_text(Chunked(1000, 1, 3), preview) == "1 row with long texts will be cut into 3 chunks"
    assert chunks_text(Chunked(100, 12, 37), preview) == (
        "About 120 rows will be cut into about 370 chunks, to judge by the first 100 rows"
    )
    assert chunks_text(Chunked(100, 12, 37), replace(preview, complete=False)) == (
        "More than about 120 rows will be cut into more than about 370 chunks, to judge by the first 100 rows"
    )


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("", ""),
        ("No such file: '/srv/models/a.bin'", "No such file: '…/a.bin'"),
        ("No such file: '/srv/my models/a.bin'", "No such file: '…/a.bin'"),
        ("\"~/my models/a.bin\" of '/srv/b'", "\"…/a.bin\" of '…/b'"),
        ("~/models/a.bin", "…/a.bin"),
        (r"C:\models\deep\a.bin is missing", "…/a.bin is missing"),
        ("https://api.example.com/v1/embeddings refused", "https://api.example.com/v1/embeddings refused"),
        ("sentence-transformers/all-MiniLM-L6-v2 and 3/4/5", "sentence-transformers/all-MiniLM-L6-v2 and 3/4/5"),
        ("and/or, 1/2", "and/or, 1/2"),
        ("put it on /-/secrets, or", "put it on /-/secrets, or"),
    ],
)
def test_folders_are_left_out(message, shown):
    """Folders of the server go, and what only looks like one stays."""
    assert without_folders(message) == shown


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ({"status": "pending"}, "Waiting to begin"),
        ({"status": "cancelled"}, "Not begun"),
        ({"status": "running", "rows_total": 5000}, "0 of 5,000 rows"),
    ],
)
def test_progress(state, sentence):
    """Before the rows are counted there is something to say too."""
    names = [field.name for field in fields(Job)]
    assert progress(Job(**{**dict.fromkeys(names), "rows_done": 0, "failed": 0, **state})) == sentence
