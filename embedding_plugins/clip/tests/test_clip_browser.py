"""A real server with the tiny CLIP, in a real browser: an image is uploaded, and pictures are found."""

import json

import pytest
from embedded import embed, make_file


@pytest.fixture
def server(serve, tmp_path, clip, clip_folder, picture):
    """A server over three pictures that are embedded."""
    path = make_file(
        tmp_path / "data.db",
        "create table pictures (id integer primary key, picture blob)",
        pictures=[(number, picture(number, size=(200, 150))) for number in (1, 2, 3)],
    )
    embed(path, "pictures", ["picture"], clip)
    config = {"plugins": {"datasette-embed-clip": {"clip": {"path": str(clip_folder), "device": "cpu"}}}}
    (tmp_path / "metadata.json").write_text(json.dumps(config))
    loaded = {"DATASETTE_LOAD_PLUGINS": "datasette-embed,datasette-embed-clip"}
    return serve(path, args=["-m", tmp_path / "metadata.json"], env=loaded)


def test_an_image_finds_its_picture(server, page, picture):
    """The image that somebody sends is found first, and shown; a text finds pictures too."""
    page.goto(f"{server.url}/data/pictures/-/similar")
    image = {"name": "x.png", "mimeType": "image/png", "buffer": picture(2, size=(200, 150))}
    page.set_input_files("input[type=file]", image)
    first = page.locator(".embed-results tbody tr").first
    first.wait_for()  # the model loads, and the page asks again
    assert (first.locator("strong").inner_text(), first.locator("td.type-pk").inner_text()) == ("1.000", "2")
    assert first.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 200
    page.fill("input[name=q]", "a dog")
    page.press("input[name=q]", "Enter")
    page.wait_for_url("**q=a+dog*")
    assert page.locator(".embed-match img").count() == 3
