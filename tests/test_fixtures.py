"""The fixtures themselves: that they mean the same on both Datasette lines, and leave nothing behind."""

import threading

import pytest
from clients import get, get_json, post_form
from datasette import Response, hookimpl
from datasette.app import Datasette
from datasette.plugins import pm
from fake_models import Held, WordLengths, word_lengths
from servers import PATIENCE

ROOT = {"id": "root"}


class Echo:
    """A plugin with one page, which tells the method, the actor and the form."""

    __name__ = "echo"

    @hookimpl
    def register_routes(self):
        return [(r"^/-/echo$", echo)]


async def echo(request):
    form = await request.post_vars() if request.method == "POST" else {}
    return Response.json({"actor": request.actor, "form": {k: v for k, v in form.items() if k != "csrftoken"}})


async def test_an_actor_is_a_cookie(make_datasette, notes):
    """Somebody who signed in is the actor of the request, and nobody is none."""
    datasette = make_datasette(notes)
    assert (await get_json(datasette, "/-/actor.json", ROOT))["actor"] == ROOT
    assert (await get_json(datasette, "/-/actor.json"))["actor"] is None


async def test_a_form_is_posted_with_its_token(make_datasette, notes):
    """A form that somebody signed in posts passes the CSRF protection of either line."""
    datasette = make_datasette(notes, plugins=[Echo()])
    response = await post_form(datasette, "/-/echo", {"a": "1"}, actor=ROOT)
    assert response.json() == {"actor": ROOT, "form": {"a": "1"}}


async def test_config_is_portable(make_datasette, notes):
    """What datasette.yaml would say holds on both lines."""
    config = {"databases": {"data": {"tables": {"notes": {"allow": {"id": "alice"}}}}}}
    datasette = make_datasette(notes, config=config, root=False)
    assert (await get(datasette, "/data/notes.json")).status_code == 403
    assert (await get(datasette, "/data/notes.json", {"id": "alice"})).status_code == 200


def test_models_belong_to_one_datasette(make_datasette, notes):
    """Two Datasettes of one test have each their own models, and no installed ones."""
    first = make_datasette(notes, models=[WordLengths("one")])
    second = make_datasette(notes, models=[WordLengths("two")])
    assert [models_of(first), models_of(second)] == [["one"], ["two"]]


def test_nothing_is_left_registered(make_datasette, notes):
    """Another test starts without the models of this one (which the two before would show)."""
    assert models_of(make_datasette(notes)) == []


def models_of(datasette):
    found = []
    pm.hook.register_embedding_models(
        register=lambda model, aliases=(), fallback=False: found.append(model.model_id), datasette=datasette
    )
    return found


def test_a_held_model_waits_until_it_is_released():
    """A batch is inside the model until the test lets it go."""
    model, results = Held(), []
    thread = threading.Thread(target=lambda: results.extend(model.embed_multi(["to be"])))
    thread.start()
    assert model.wait_for_call() == ["to be"]
    assert results == []
    model.release()
    thread.join(PATIENCE)
    assert results == [word_lengths("to be")]


def test_a_server_answers_and_can_be_killed(serve, notes):
    """A real server signs root in, is killed, and another one on the same file answers too."""
    server = serve(notes, root=True)
    assert server.sign_in()["ds_actor"]
    assert server.json("/-/actor.json")["actor"]["id"] == "root"
    server.kill()
    again = serve(notes)
    assert again.json("/data/notes.json?_shape=array")[0]["title"] == "Bread"
    assert again.terminate() in (0, -15)


def test_a_server_that_cannot_start_says_why(serve, tmp_path):
    """The failure of a server holds what it printed."""
    with pytest.raises(AssertionError, match="nosuch"):
        serve(tmp_path / "nosuch.db")


def test_a_datasette_of_ones_own_is_no_trouble(notes):
    """Tests may still build a Datasette by hand."""
    assert "data" in Datasette([str(notes)]).databases
