"""The real MiniLM from the form to the stored vector, on the pages and in SQL of a real server: its golden values."""

import httpx
import pytest
from embedded import make_file
from servers import wait_for

pytestmark = pytest.mark.minilm

SENTENCES = ("The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium.")
GOLDEN = {(1, 2): 0.6660, (1, 3): 0.1046, (2, 3): 0.1411}  # cosines published with the model
CLOSE = 5e-3  # a CPU that has AMX embeds in bfloat16


@pytest.fixture
def server(tmp_path, serve):
    """A server whose root has embedded the three sentences through the form."""
    rows = list(enumerate(SENTENCES, 1))
    path = make_file(tmp_path / "data.db", "create table says (id integer primary key, body text)", says=rows)
    server = serve(path, root=True)
    server.sign_in()
    form = {"columns": "body", "model": "minilm"}
    page = server.client.get("/data/says/-/embed").text
    if 'name="csrftoken" value="' in page:
        form["csrftoken"] = page.split('name="csrftoken" value="')[1].split('"')[0]
    assert server.client.post("/data/says/-/embed", data=form).status_code == 303
    wait_for(
        lambda: server.json("/data/-/embed/says.json")["job"]["status"] == "finished",
        "the job to finish",
    )
    return server


def test_golden_values(server):
    """Similar rows on the page and in its JSON, embed() and the stored vectors in SQL all give the same cosines."""
    for (one, other), golden in GOLDEN.items():
        matches = server.json(f"/data/says/-/similar.json?row={one}")["matches"]
        (score,) = [match["score"] for match in matches if match["row"]["id"] == other]
        assert score == pytest.approx(golden, abs=CLOSE)
        assert f"{score:.3f}" in server.client.get(f"/data/says/-/similar?row={one}").text
        assert ask(server, one, other) == pytest.approx([golden, golden], abs=CLOSE)


def ask(server, one, other):
    """The cosine of two sentences, by embed() and by the stored vectors."""
    sql = (
        "select embed_cosine(embed('minilm', :one), embed('minilm', :other)) as a, (select embed_cosine(v.vector,"
        f" w.vector) from _embed_vectors_says v, _embed_vectors_says w where v.id = {one} and w.id = {other}) as b"
    )
    query = {"sql": sql, "one": SENTENCES[one - 1], "other": SENTENCES[other - 1], "_shape": "array"}
    response = httpx.get(f"{server.url}/data.json", params=query, follow_redirects=True)
    (row,) = response.json()
    return [row["a"], row["b"]]
