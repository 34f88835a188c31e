"""Before paying: what the form says of money, the limits of a job, and what its page says it has cost."""

import re
import threading

import pytest
from clients import get, get_json, post_form, post_json
from embedded import read
from fake_models import Priced, WordLengths
from servers import PATIENCE

ROOT = {"id": "root"}
FORM, COLLECTION = "/data/notes/-/embed", "/data/-/embed/notes"


@pytest.fixture
def datasette(make_datasette, notes):
    return make_datasette(notes, models=[Priced(), WordLengths()])


async def preview(datasette, model):
    return (await get_json(datasette, f"{FORM}.json?columns=body&model={model}", ROOT))["preview"]


async def test_the_form_says_what_it_costs(datasette):
    """Contents, tokens and dollars, less what is stored, in JSON and on the page."""
    told = (await preview(datasette, "priced"))["estimate"]
    text = "3 contents would go to the model: 17 tokens, $17.00"
    assert told == {"contents": 3, "stored": 0, "tokens": 17, "cost": 17.0, "exact": True, "text": text}
    page = (await get(datasette, f"{FORM}?model=priced&columns=body", ROOT)).text
    assert f'<p data-embed="estimate">{text}</p>' in page


async def test_what_is_stored_is_subtracted(datasette, notes, embed):
    """A table that is embedded already costs nothing."""
    embed(notes, "notes", "body", model=Priced())
    told = (await preview(datasette, "priced"))["estimate"]
    assert (told["contents"], told["stored"], told["cost"]) == (0, 3, 0)
    assert told["text"].endswith("0 tokens, $0.00. 3 more are stored already, or equal to one of these")


async def test_nothing_is_subtracted_from_a_change_that_takes_nothing_over(datasette, notes, embed):
    """The page of a change says so as soon as its box is ticked, and the box stays ticked."""
    embed(notes, "notes", "body", model=Priced())
    change = f"{COLLECTION}/change"
    told = (await get_json(datasette, f"{change}.json?columns=body&model=priced", ROOT))["preview"]["estimate"]
    assert (told["contents"], told["stored"]) == (0, 3)
    told = (await get_json(datasette, f"{change}.json?columns=body&model=priced&anew=1", ROOT))["preview"]["estimate"]
    assert (told["contents"], told["stored"]) == (3, 0)
    page = (await get(datasette, f"{change}?columns=body&model=priced&anew=1", ROOT)).text
    assert 'name="anew" value="1" checked>' in page
    assert told["text"] in page


async def test_nothing_of_money_for_a_free_model(make_datasette, notes):
    """Neither the form nor a collection's page has a dollar in it."""
    datasette = make_datasette(notes, models=[WordLengths()])
    assert (await preview(datasette, "lengths"))["estimate"] is None
    form = (await get(datasette, FORM, ROOT)).text
    assert ("max_rows" in form, "max_cost" in form) == (True, False)
    await post_json(datasette, f"{FORM}.json", {"columns": ["body"], "max_rows": 1}, ROOT)
    for path in (FORM, COLLECTION, "/-/embed"):
        page = re.sub(r"(?s)<script.*?</script>", "", (await get(datasette, path, ROOT)).text)
        assert not re.search(r"\$|dollar", page), path


async def test_a_tokenizer_that_takes_long(make_datasette, notes, monkeypatch):
    """The form does not wait for it: tokens are estimated, and it says so."""

    class Slow(Priced):
        def count_tokens(self, content):
            released.wait(PATIENCE)
            return 1

    released = threading.Event()
    monkeypatch.setattr("datasette_embeddings.views.previews.TOKEN_SECONDS", 0.05)
    datasette = make_datasette(notes, models=[Slow()])
    try:
        told = (await preview(datasette, "priced"))["estimate"]
    finally:
        released.set()
    assert (told["exact"], told["text"].endswith("Tokens are estimated by length")) == (False, True)


async def test_limits_in_json(datasette, notes, working, wait_for_status):
    """The job stops at them, says what it has cost, and goes on with others."""
    working(datasette)
    body = {"columns": ["body"], "model": "priced", "max_rows": 2, "max_cost": 100}
    job = (await post_json(datasette, f"{FORM}.json", body, ROOT)).json()["job"]
    assert (job["max_rows"], job["max_cost"]) == (2, 100)
    data = await wait_for_status(datasette, f"{COLLECTION}.json", "paused", actor=ROOT)
    job = data["job"]
    assert (job["contents"], job["tokens"], job["cost"], job["spent"]) == (2, 12, 12.0, "12 tokens, $12.00 of $100.00")
    assert job["reason"].startswith("The limit of 2 rows is reached: the model was given 2 contents with 12 tokens for")
    assert data["rows"]["embedded"] == 2
    await post_json(datasette, f"{COLLECTION}.json", {"action": "resume", "max_rows": None}, ROOT)
    job = (await wait_for_status(datasette, f"{COLLECTION}.json", "finished", actor=ROOT))["job"]
    assert (job["contents"], job["max_rows"], job["max_cost"]) == (3, None, 100)


async def test_limits_in_the_form(datasette, notes):
    """Its fields limit the job; left empty they do not."""
    fields = {"columns": "body", "model": "priced", "max_rows": "10", "max_cost": " 0.5 "}
    assert (await post_form(datasette, FORM, fields, ROOT)).status_code == 303
    await post_form(datasette, FORM, {**fields, "max_rows": "", "max_cost": ""}, ROOT)
    assert read(notes, "select max_rows, max_cost from _embed_jobs order by id") == [(10, 0.5), (None, None)]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"max_rows": "many"}, "max_rows must be a whole number above 0"),
        ({"max_cost": "-1"}, "max_cost must be a number of US dollars above 0"),
        ({"max_cost": "nan"}, "max_cost must be a number of US dollars above 0"),
        ({"max_cost": "1", "model": "lengths"}, "The model word-lengths names no price, so max_cost cannot be kept"),
    ],
)
async def test_what_is_no_limit(datasette, notes, fields, message):
    """The form comes back with a sentence and what was typed, and nothing is made."""
    response = await post_form(datasette, FORM, {"columns": "body", "model": "priced", **fields}, ROOT)
    assert (response.status_code, message in response.text) == (400, True)
    assert f'value="{next(iter(fields.values()))}"' in response.text
    assert read(notes, "select name from sqlite_master where name like '_embed_vectors%'") == []


async def paused(datasette, working, wait_for_status, **limits):
    working(datasette)
    await post_json(datasette, f"{FORM}.json", {"columns": ["body"], "model": "priced", **limits}, ROOT)
    await wait_for_status(datasette, f"{COLLECTION}.json", "paused", actor=ROOT)


async def test_the_page_asks_for_another_limit(datasette, working, wait_for_status):
    """Beside "Resume" stands the limit as it is; changed it holds, cleared it is lifted."""
    await paused(datasette, working, wait_for_status, max_rows=1)
    page = (await get(datasette, COLLECTION, ROOT)).text
    assert re.search(r'<input [^>]*name="max_rows" value="1"', page)
    assert 'name="max_cost"' not in page
    await post_form(datasette, COLLECTION, {"action": "resume", "max_rows": "2"}, ROOT)
    await wait_for_status(datasette, f"{COLLECTION}.json", "paused", actor=ROOT)
    await post_form(datasette, COLLECTION, {"action": "resume", "max_rows": ""}, ROOT)
    data = await wait_for_status(datasette, f"{COLLECTION}.json", "finished", actor=ROOT)
    assert (data["job"]["max_rows"], data["job"]["contents"]) == (None, 3)


async def test_resumed_as_it_was(datasette, working, wait_for_status):
    """Without another limit the old one holds: nothing is spent, and the job pauses again."""
    await paused(datasette, working, wait_for_status, max_cost=7)
    await post_json(datasette, f"{COLLECTION}.json", {"action": "resume"}, ROOT)
    job = (await wait_for_status(datasette, f"{COLLECTION}.json", "paused", actor=ROOT))["job"]
    assert (job["contents"], job["cost"], job["max_cost"]) == (1, 6.0, 7)


async def test_limits_with_the_wrong_action(datasette, working, wait_for_status):
    """To pause or delete spends nothing, so a limit there is a mistake."""
    await paused(datasette, working, wait_for_status, max_rows=1)
    response = await post_json(datasette, f"{COLLECTION}.json", {"action": "cancel", "max_rows": 5}, ROOT)
    error = "max_rows can be given with resume, update, retry, and not with cancel"
    assert (response.status_code, response.json()["error"]) == (400, error)


async def test_a_change_is_limited_too(datasette, notes, embed, working, wait_for_status):
    """Another model may cost more than the one before: its form says so, and takes limits."""
    embed(notes, "notes", "body")
    page = (await get(datasette, f"{COLLECTION}/change?model=priced&columns=body", ROOT)).text
    assert "3 contents would go to the model: 17 tokens, $17.00" in page
    working(datasette)
    await post_json(datasette, f"{COLLECTION}/change.json", {"model": "priced", "max_rows": 1}, ROOT)
    job = (await wait_for_status(datasette, f"{COLLECTION}.json", "paused", actor=ROOT))["job"]
    assert (job["contents"], job["max_rows"]) == (1, 1)
