"""Files in which LLM keeps collections, made and read by LLM's own code."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from embedded import read

from datasette_embeddings.engine.vectors import encode

ROWS = "select id, embedding, content, content_blob, content_hash from embeddings order by collection_id, id"


def collection(path, name="notes", model="numbers", **vectors):
    """A collection in the file, new or not, with a vector for each id: ([numbers] or bytes, content)."""
    llm = pytest.importorskip("llm")
    db = pytest.importorskip("sqlite_utils").Database(path)
    made = llm.Collection(name, db, model=type("Model", (), {"model_id": model}))
    rows = [
        {
            "collection_id": made.id,
            "id": id,
            "embedding": encode(vector) if isinstance(vector, list) else vector,
            "content_hash": made.content_hash(content),
        }
        for id, (vector, content) in vectors.items()
    ]
    db["embeddings"].insert_all(rows, replace=True)
    db.close()
    return path


def ids(path):
    """The ids that LLM has in the file."""
    return [row[0] for row in read(path, ROWS)]


def similar(tmp_path, path, *args):
    """What `llm similar ARGS` says of the file, as (id, score)."""
    pytest.importorskip("llm")
    command = [sys.executable, "-m", "llm", "similar", *map(str, args), "-d", str(path)]
    env = {**os.environ, "LLM_USER_PATH": str(tmp_path / "llm"), "LLM_LOAD_PLUGINS": ""}
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, env=env)
    assert done.returncode == 0, done.stderr
    return [(found["id"], found["score"]) for found in map(json.loads, done.stdout.splitlines())]
