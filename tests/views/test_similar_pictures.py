"""Pictures beside the matches: what counts as one, who gets it, and how it is served."""

import base64
import sqlite3
import threading
from contextlib import closing

import pytest
from clients import get, post_form
from fake_models import ByteCounts, WordLengths
from servers import PATIENCE

from datasette_embeddings.views.similar import pictures as shown
from datasette_embeddings.views.similar import vectors

# The smallest GIF, and what only begins like a picture: what a browser makes of it is the browser's business.
GIF = base64.b64decode("R0lGODlhAQABAIAAAP///wAAACwAAAAAAQABAAACAkQBADs=")
PNG = b"\x89PNG\r\n\x1a\n and so on"
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
PICTURE = "/data/pictures/-/similar/picture"
ROOT, READER = {"id": "root"}, {"id": "reader"}


@pytest.fixture
def pictures(notes, embed):
    """A file with a table of pictures, one with a key of two columns, and one of texts."""
    with closing(sqlite3.connect(notes)) as conn, conn:
        conn.execute("create table pictures (id integer primary key, picture blob)")
        rows = [GIF, PNG, SVG, b"GIF", PNG + bytes(1000), None]
        conn.executemany("insert into pictures values (?, ?)", enumerate(rows, 1))
        conn.execute("create table pairs (a text, b text, picture blob, primary key (a, b))")
        conn.execute("insert into pairs values ('x/y', 'z,w', ?)", (GIF,))
    embed(notes, "pictures", "picture", model=ByteCounts())
    embed(notes, "pairs", "picture", model=ByteCounts())
    embed(notes, "notes", "body")
    return notes


@pytest.fixture
def searchable(make_datasette, pictures, monkeypatch):
    """A Datasette over that file; only root may see the pairs, and a picture has at most 1,000 bytes."""
    monkeypatch.setattr(shown, "LARGEST", 1000)
    config = {"databases": {"data": {"tables": {"pairs": {"allow": {"id": "root"}}}}}}
    return make_datasette(pictures, models=[ByteCounts(), WordLengths()], config=config)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (PNG, "image/png"),
        (GIF, "image/gif"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
        (b"RIFF\x1a\n\0\0WEBPVP8 ", "image/webp"),
        (b"\0\0\0\x1cftypavif", "image/avif"),
        (b"BM\x46\0\0\0\0\0\0\0\x36\0", "image/bmp"),
        (b"BMW is a car", None),
        (b"RIFF\x1a\n\0\0WAVEfmt ", None),
        (b"\0\0\0\x1cftypheic", None),
        (b" " + PNG, None),
        (SVG, None),
        (b"<html>", None),
        (b"%PDF-1.7", None),
        (b"", None),
    ],
)
def test_kinds(data, kind):
    """A picture is told by its first bytes, and only if it is of a kind that runs nothing."""
    assert shown.kind_of(data) == kind


async def test_a_picture(searchable):
    """It is what is stored, of its kind, and can be nothing else to a browser."""
    response = await get(searchable, f"{PICTURE}?row=1")
    assert (response.status_code, response.content) == (200, GIF)
    assert response.headers["content-type"] == "image/gif"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-security-policy"] == "default-src 'none'; sandbox"


@pytest.mark.parametrize(
    "address",
    [
        f"{PICTURE}?row=3",
        f"{PICTURE}?row=4",
        f"{PICTURE}?row=5",
        f"{PICTURE}?row=6",
        f"{PICTURE}?row=99",
        f"{PICTURE}?row=1&_collection=notes",
        "/data/notes/-/similar/picture?row=1",
        "/data/none/-/similar/picture?row=1",
    ],
    ids=["svg", "no-picture", "too-large", "null", "no-row", "no-collection", "of-texts", "no-table"],
)
async def test_no_picture(searchable, address):
    """What is no picture, is too large or is not there is not served."""
    response = await get(searchable, address)
    assert (response.status_code, "image/" in response.headers["content-type"]) == (404, False)


@pytest.mark.parametrize(("query", "status"), [("", 404), ("?row=1,2", 400)])
async def test_an_address_that_names_no_row(searchable, query, status):
    """A path that is that of no row is refused."""
    assert (await get(searchable, PICTURE + query)).status_code == status


async def test_who_may_see_the_table_sees_its_pictures(searchable):
    """The table's permission is the picture's, for a key of two columns as for any."""
    address = "/data/pairs/-/similar/picture?row=x~2Fy,z~2Cw"
    assert (await get(searchable, address, ROOT)).content == GIF
    for actor in (None, READER):
        assert (await get(searchable, address, actor)).status_code == 403


async def test_the_page_shows_the_pictures_that_there_are(searchable):
    """Beside each match that has one stands its picture, and nothing beside the others."""
    page = (await get(searchable, "/data/pictures/-/similar?q=x")).text
    found = [row for row in range(1, 7) if f'src="{PICTURE}?row={row}&amp;_collection=pictures"' in page]
    assert found == [1, 2]
    assert page.count('<td class="embed-match"') == 5
    assert "embed-picture" not in (await get(searchable, "/data/notes/-/similar?q=x")).text


async def test_filters_beside_an_image(searchable):
    """A form's fields in the address are tidied up, and the browser is told to post the image once more."""
    image = {"image": base64.b64encode(GIF).decode()}
    fields = "_filter_column_1=id&_filter_op_1=lt&_filter_value_1=3&_filter_column=&_size=10&q="
    first = await post_form(searchable, f"/data/pictures/-/similar?{fields}", image, ROOT)
    assert (first.status_code, first.headers["location"]) == (307, "/data/pictures/-/similar?id__lt=3")
    second = await post_form(searchable, first.headers["location"], image, ROOT)
    assert (second.status_code, second.text.count('<td class="embed-match"')) == (200, 2)
    assert f'name="image" value="{image["image"]}"' in second.text


class Loading(ByteCounts):
    """Stops inside load() until `loaded.set()`."""

    def __init__(self):
        self.loaded = threading.Event()

    def load(self):
        assert self.loaded.wait(PATIENCE)


async def test_a_model_that_loads(make_datasette, pictures, monkeypatch):
    """The page that says so asks again by the image, where a reload of its address would ask by nothing."""
    monkeypatch.setattr(vectors, "LOAD_SECONDS", 0.05)
    datasette = make_datasette(pictures, models=[model := Loading(), WordLengths()])
    image = base64.b64encode(GIF).decode()
    page = await post_form(datasette, "/data/pictures/-/similar", {"image": image}, ROOT)
    model.loaded.set()
    assert (page.status_code, "http-equiv" in page.text) == (503, False)
    assert f'name="image" value="{image}"' in page.text.split("data-embed-again")[1]
