"""Asking a Datasette in this process, as any actor, the same way on both Datasette lines."""

from __future__ import annotations


def cookies(datasette, actor):
    """The cookies of somebody signed in as this actor: a dict such as {"id": "root"}, or None for nobody."""
    return {"ds_actor": datasette.sign({"a": actor}, "actor")} if actor else {}


async def get(datasette, path, actor=None):
    """The response to GET."""
    return await datasette.client.get(path, cookies=cookies(datasette, actor))


async def get_json(datasette, path, actor=None, status=200):
    """The JSON of GET, its status checked."""
    response = await get(datasette, path, actor)
    assert response.status_code == status, response.text
    return response.json()


async def post_form(datasette, path, data, actor=None):
    """The response to a form posted with its CSRF token, where this Datasette has them."""
    jar = cookies(datasette, actor)
    if actor:
        page = await datasette.client.get("/-/logout", cookies=jar)
        if "ds_csrftoken" in page.cookies:
            token = page.cookies["ds_csrftoken"]
            jar, data = {**jar, "ds_csrftoken": token}, {**data, "csrftoken": token}
    return await datasette.client.post(path, data=data, cookies=jar)


async def post_json(datasette, path, body, actor=None):
    """The response to a JSON body."""
    return await datasette.client.post(path, json=body, cookies=cookies(datasette, actor))
