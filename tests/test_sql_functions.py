"""The SQL functions as a person meets them: through a real Datasette, on its own connections."""

import asyncio
import json
import sqlite3
import struct

import numpy as np
import pytest
from clients import get_json
from embedded import embed, make_file
from fake_models import Failing, NeedsKey, QuerySide, SlowLoading, WordLengths, word_lengths
from hypothesis import given
from hypothesis import strategies as st

from datasette_embeddings import loading
from datasette_embeddings.engine import vectors

# Datasette has SQLite print the traceback of a function that raises, and pytest makes a warning of that.
prints_a_traceback = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

NAN, ONE, ZERO = struct.pack("<f", float("nan")), struct.pack("<2f", 3, 4), struct.pack("<2f", 0, 0)


@pytest.fixture
def select(make_datasette, notes):
    """select(expression, model…): the one value of a query on Datasette's own connection, and what was logged."""

    def ask(*models, config=None, settings=None):
        datasette = make_datasette(notes, models=models, config=config, settings=settings)

        async def value(expression, **params):
            await datasette.invoke_startup()
            rows = await datasette.get_database("data").execute(f"select {expression}", params)
            return rows.first()[0]

        value.datasette = datasette
        return value

    return ask


async def refused(select, caplog, expression, message, **params):
    """A query that is an error, whose message reaches the log."""
    with pytest.raises(sqlite3.OperationalError, match="user-defined "):
        await select(expression, **params)
    assert message in caplog.text


@pytest.mark.parametrize(
    "expression",
    [
        "embed('lengths', null)",
        "embed('lengths', null, 'query')",
        *[
            f"embed_{name}({pair})"
            for name in ("cosine", "dot", "l2")
            for pair in ("null, :one", ":one, null", "null, null")
        ],
        *[f"embed_{name}(null)" for name in ("decode", "encode", "dimensions", "normalize", "average")],
        "embed_cosine(:one, :zero)",
        "embed_cosine(:zero, :zero)",
        "embed_normalize(:zero)",
        "(select embed_average(x) from (select 1 as x) where 0)",
    ],
)
async def test_null(select, expression):
    """NULL gives NULL, and so does what has no direction."""
    ask = select(WordLengths())
    params = {"one": ONE, "zero": ZERO}
    assert await ask(expression, **{name: value for name, value in params.items() if f":{name}" in expression}) is None


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("embed_dot(:one, :one)", 25.0),
        ("embed_cosine(:one, :one)", 1.0),
        ("embed_cosine(:one, embed_encode('[-3, -4]'))", -1.0),
        ("embed_l2(:one, :zero)", 5.0),
        ("embed_dimensions(:one)", 2),
        ("embed_decode(:one)", "[3.0, 4.0]"),
        ("embed_decode(embed_normalize(:one))", "[0.6, 0.8]"),
        ("embed_decode(embed_encode('[0.1, -1e-30, 3]'))", "[0.1, -1e-30, 3.0]"),
        ("embed_decode((select embed_average(x) from (select :one as x union all select null union all select :zero)))",
         "[1.5, 2.0]"),
        ("json_extract(embed_decode(embed('lengths', 'to be or')), '$[2]')", 2.0),
        ("embed('lengths', 12.50) = embed('lengths', '12.5')", 1),
        ("embed('lengths', 'x') = embed('word-lengths', 'x', 'document')", 1),
    ],
)  # fmt: skip
async def test_values(select, expression, expected):
    """What each function gives."""
    params = {name: value for name, value in (("one", ONE), ("zero", ZERO)) if f":{name}" in expression}
    assert await select(WordLengths())(expression, **params) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("embed_cosine(:x, embed_encode('[1]'))", "different lengths cannot be compared: 2 and 1 dimensions"),
        ("embed_dot(:x, 'text')", "A vector is a BLOB of 32-bit floats, not text"),
        ("embed_l2(5, :x)", "A vector is a BLOB of 32-bit floats, not an integer"),
        ("embed_dimensions(x'')", "0 bytes are none"),
        ("embed_decode(x'0000000000')", "5 bytes are none"),
        ("embed_normalize(:nan)", "it holds NaN or infinity"),
        ("embed_average(:nan)", "it holds NaN or infinity"),
        ("embed_average(v) from (select :x as v union all select embed_encode('[1]'))", "2 and 1 dimensions"),
        ("embed_encode('{}')", "takes a JSON array of numbers"),
        ("embed_encode('[')", "takes a JSON array of numbers"),
        ("embed_encode('[]')", "not an empty one"),
        ("embed_encode('[1, null]')", "takes a JSON array of numbers"),
        ("embed_encode('[true]')", "takes a JSON array of numbers"),
        ("embed_encode('[NaN]')", "finite 32-bit numbers only"),
        ("embed_encode('[1e39]')", "finite 32-bit numbers only"),
        ("embed_encode(:x)", "takes a JSON array as text, not a BLOB"),
        (f"embed_encode('{'[' * 5000}')", "takes a JSON array of numbers"),
        ("embed('nosuch', 'x')", "There is no model 'nosuch'; the installed ones are"),
        ("embed(null, 'x')", "The first argument of embed() is a model's id or alias, not None"),
        ("embed('lengths', 'x', 'sideways')", "is 'query' or 'document', not 'sideways'"),
        ("embed('lengths', x'00')", "The model word-lengths does not take binary content, only text"),
        ("embed('failing', 'FAIL')", "The model failing failed: cannot embed 'FAIL'"),
    ],
)  # fmt: skip
@prints_a_traceback
async def test_wrong_input(select, caplog, expression, message):
    """Wrong input is an error, never a value, and the log has the sentence."""
    params = {name: value for name, value in (("x", ONE), ("nan", NAN)) if f":{name}" in expression}
    await refused(select(WordLengths(), Failing()), caplog, expression, message, **params)


@prints_a_traceback
async def test_no_model_is_installed(select, caplog):
    """The message says which command installs one."""
    await refused(select(), caplog, "embed('minilm', 'x')", "datasette install datasette-embed-sentence-transformers")


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=50))
def test_decode_and_encode(numbers):
    """What embed_decode() writes gives the very same vector again."""
    blob = np.array(numbers, dtype="<f4").tobytes()
    assert vectors.from_json(vectors.to_json(blob)) == blob


async def test_the_query_side(select):
    """A third argument 'query' goes through the model's query side."""
    ask = select(QuerySide())
    assert json.loads(await ask("embed_decode(embed('query-side', 'to', 'query'))"))[0] == -2
    assert json.loads(await ask("embed_decode(embed('query-side', 'to'))"))[0] == 2


async def test_stored_vectors_cost_no_call(select, notes):
    """What a collection of this file holds is not embedded again; only the query side of another kind is."""
    model, other = WordLengths(), QuerySide()
    embed(notes, "notes", ["body"], model)
    embed(notes, "notes", ["body"], other, name="other")
    model.calls.clear()
    other.calls.clear()
    ask = select(model, other)
    assert await ask("count(embed('lengths', body)) from notes") == 3
    assert await ask("count(embed('lengths', body, 'query')) from notes") == 3
    assert await ask("count(embed('query-side', body)) from notes") == 3
    assert (model.calls, other.calls) == ([], [])
    assert json.loads(await ask("embed_decode(embed('query-side', body, 'query')) from notes"))[0] < 0


async def test_the_last_vectors_are_remembered(select, monkeypatch):
    """A content that was just embedded is not embedded again, on any connection; older ones are forgotten."""
    monkeypatch.setattr(loading, "REMEMBERED", 2)
    ask = select(model := WordLengths())
    await ask("embed('lengths', 'warm up')")
    model.calls.clear()
    for content in ("a", "a", "b", "a", "c", "b"):
        await asyncio.gather(*(ask(f"embed('lengths', '{content}')") for _ in range(2)))
    assert [content for content in model.contents if content == "a"] in (["a"], ["a", "a"])
    assert model.contents[-1] == "b"


async def test_a_model_that_loads_as_it_embeds(select):
    """The content that makes a model load is paid for once: its vector is that of the query too."""
    value = select(model := WordLengths())
    await value("embed('lengths', 'a bee', 'query')")
    assert model.contents == ["a bee"]


async def test_a_constant_in_a_scan_is_embedded_once(select):
    """embed() is deterministic: a scan asks the model once, not once a row."""
    ask = select(model := WordLengths())
    await ask("embed('lengths', 'warm up')")
    model.calls.clear()
    numbers = "with recursive n(i) as (select 1 union all select i + 1 from n limit 400) select i from n"
    sql = f"count(embed('lengths', 'flour')) from ({numbers})"
    assert await ask(sql) == 400
    assert model.contents == ["flour"]


@prints_a_traceback
async def test_a_model_that_needs_a_key(select, caplog, monkeypatch):
    """Whoever may type SQL does not spend a key, unless the configuration says so."""
    monkeypatch.setenv("FAKE_MODELS_KEY", "right")
    await refused(select(NeedsKey()), caplog, "embed('needs-key', 'x')", "name it under sql_models")
    config = {"plugins": {"datasette-embed": {"sql_models": ["needs-key"]}}}
    allowed = select(NeedsKey(), config=config)
    assert vectors.decode(await allowed("embed('needs-key', 'x')")).tolist() == word_lengths("x")
    assert [model["model_id"] for model in json.loads(await allowed("embed_models()"))] == ["needs-key"]


async def test_the_models_that_sql_may_use(select):
    """embed_models() names the models, their aliases and dimensions, and none that needs a key."""
    ask = select(WordLengths(), NeedsKey())
    assert json.loads(await ask("embed_models()")) == [
        {"model_id": "word-lengths", "aliases": ["lengths"], "dimensions": 16}
    ]


async def test_a_model_that_is_slow_to_load(make_datasette, notes):
    """A query that would wait too long for a load ends as any slow query; once it is loaded, the same one works."""
    model = SlowLoading()
    datasette = make_datasette(notes, models=[model], settings={"sql_time_limit_ms": 100})
    path = "/data.json?sql=select+embed_decode(embed('slow-loading','to+be'))+as+v&_shape=array"
    response = await datasette.client.get(path, follow_redirects=True)
    assert (response.status_code, "took too long" in response.text) == (400, True)
    model.loaded.set()
    while not model._load_state.ready:
        await asyncio.sleep(0.01)
    response = await datasette.client.get(path, follow_redirects=True)
    assert response.status_code == 200, response.text
    assert json.loads(response.json()[0]["v"]) == word_lengths("to be")
    assert model.loads == 1


async def test_a_scan_that_is_too_long(make_datasette, notes, tmp_path):
    """A time limit that strikes while embed() looks for stored vectors ends the query as any slow one."""
    path = make_file(tmp_path / "many.db", "create table many (body)", many=[(f"text {n}",) for n in range(3000)])
    datasette = make_datasette(path, models=[model := WordLengths()], settings={"sql_time_limit_ms": 30})
    embed(path, "many", ["body"], WordLengths("other"))  # so that there is something to look through
    model.embed("ready")
    sql = "/many.json?sql=select+count(embed('lengths',body||hex(randomblob(9))))+from+many&_shape=array"
    response = await datasette.client.get(sql, follow_redirects=True)
    assert (response.status_code, "took too long" in response.text) == (400, True)


async def test_the_functions_work_on_a_page(make_datasette, notes):
    """A query of a page may use them."""
    datasette = make_datasette(notes, models=[WordLengths()])
    path = "/data.json?sql=select+embed_dimensions(embed('lengths',title))+as+d+from+notes&_shape=array"
    response = await datasette.client.get(path, follow_redirects=True)
    assert response.json() == [{"d": 16}] * 3


async def test_a_file_of_a_newer_version(make_datasette, notes):
    """Datasette serves a file whose tables are newer than we know."""
    make_file(notes, "create table _embed_schema (version integer); insert into _embed_schema values (99)")
    datasette = make_datasette(notes, models=[WordLengths()])
    assert await get_json(datasette, "/data/notes.json?_shape=array")
