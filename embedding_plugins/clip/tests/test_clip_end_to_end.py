"""Tables of images embedded and searched: by a text, by an image, and with broken ones among them."""

import base64
import json

import pytest
from clients import get_json, post_json
from embedded import embed, errors, make_file, read, vectors

from datasette_embed_clip import FORMATS, ClipFiles, Files
from datasette_embeddings.engine.errors import raising

np = pytest.importorskip("numpy")


@pytest.fixture
def pictures(tmp_path, picture):
    """A file with a table of pictures as BLOBs, two of them broken, and one of their paths."""
    rows = [(n, f"{n}.png", picture(n)) for n in range(1, 7)]
    rows += [(7, "none.png", b"no picture"), (8, "../8.png", picture(8)[:60]), (9, None, None)]
    for _, name, data in rows[:6]:
        (tmp_path / name).write_bytes(data)
    script = "create table pictures (id integer primary key, name text, picture blob)"
    return make_file(tmp_path / "data.db", script, pictures=rows)


def nearest(clip, query, picture):
    """The ids of the six pictures, those nearest to a query first."""
    images = np.array([clip.embed(picture(n)) for n in range(1, 7)])
    vector = np.array(clip.embed(query))
    scores = images @ vector / np.linalg.norm(images, axis=1) / np.linalg.norm(vector)
    return [int(n) + 1 for n in np.argsort(-scores)]


@pytest.mark.skipif(raising(), reason="errors are raised, not kept")
def test_broken_images_are_rows_that_failed(pictures, clip):
    """The job ends, all others are embedded, and each broken image is named with the reason."""
    job = embed(pictures, "pictures", ["picture"], clip)
    assert (job.status, job.embedded, job.failed, job.empty) == ("finished", 6, 2, 1)
    assert set(vectors(pictures, "pictures")) == {1, 2, 3, 4, 5, 6}
    assert read(pictures, "select row_key, message from _embed_errors order by 1") == [
        ("[7]", f"The model {clip.model_id} cannot read this image: it is none of {', '.join(FORMATS)}"),
        ("[8]", f"The model {clip.model_id} cannot read this image: it is broken (image file is truncated)"),
    ]


async def test_a_text_finds_images(pictures, clip, picture, make_datasette):
    """A text ranks the images by their cosine to it, on the page's JSON and in SQL."""
    embed(pictures, "pictures", ["picture"], clip)
    datasette = make_datasette(pictures, models=[clip])
    data = await get_json(datasette, "/data/pictures/-/similar.json?q=a+dog")
    assert [match["row"]["id"] for match in data["matches"]] == nearest(clip, "a dog", picture)
    rows = await datasette.get_database("data").execute("select embed_search('pictures', 'a dog') as found")
    assert [match["id"] for match in json.loads(rows.first()["found"])] == nearest(clip, "a dog", picture)


async def test_images_in_sql(pictures, clip, picture, make_datasette):
    """In SQL a BLOB is embedded as an image and a text as a text, into one space."""
    datasette = make_datasette(pictures, models=[clip])
    sql = "select embed_cosine(embed(:model, picture), embed(:model, 'a dog')) as score from pictures where id = 1"
    score = (await datasette.get_database("data").execute(sql, {"model": clip.model_id})).first()["score"]
    image, text = np.array(clip.embed(picture(1))), np.array(clip.embed("a dog"))
    assert score == pytest.approx(image @ text / np.linalg.norm(image) / np.linalg.norm(text), abs=1e-5)


async def test_an_image_finds_images(pictures, clip, picture, make_datasette):
    """An image that is sent finds itself first, and then those like it."""
    embed(pictures, "pictures", ["picture"], clip)
    datasette = make_datasette(pictures, models=[clip])
    image = base64.b64encode(picture(4)).decode()
    data = (await post_json(datasette, "/data/pictures/-/similar.json", {"image": image})).json()
    assert [match["row"]["id"] for match in data["matches"]] == nearest(clip, picture(4), picture)
    assert (data["matches"][0]["row"]["id"], data["matches"][0]["score"]) == (4, pytest.approx(1))


async def test_a_broken_image_is_the_askers_fault(pictures, clip, make_datasette):
    """What is sent and is no image is answered with 400 and the reason."""
    embed(pictures, "pictures", ["picture"], clip)
    datasette = make_datasette(pictures, models=[clip])
    image = base64.b64encode(b"no image").decode()
    response = await post_json(datasette, "/data/pictures/-/similar.json", {"image": image})
    assert (response.status_code, "cannot read this image" in response.json()["error"]) == (400, True)


@pytest.mark.skipif(raising(), reason="errors are raised, not kept")
async def test_files_by_their_paths(pictures, clip, picture, make_datasette):
    """A column of paths is embedded as the images, a text finds them, and a path that leads out has failed."""
    model = ClipFiles(clip, Files(pictures.parent.resolve(), frozenset()))
    job = embed(pictures, "pictures", ["name"], model)
    assert (job.status, job.embedded, job.failed, job.empty) == ("finished", 6, 2, 1)
    assert [message.split(": ", 1)[1] for message in errors(pictures)] == [
        "there is no file 'none.png'",
        "'../8.png' is not in the folder that is configured",
    ]
    datasette = make_datasette(pictures, models=[model])
    data = await get_json(datasette, "/data/pictures/-/similar.json?q=a+dog")
    assert [match["row"]["id"] for match in data["matches"]] == nearest(clip, "a dog", picture)
