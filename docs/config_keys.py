"""The table of keys in docs/configuration.md, from the class that reads them. Run by `make docs`."""

from __future__ import annotations

import ast
import inspect
import io
import tokenize

from datasette_embeddings.config import _KINDS, Config


def table() -> str:
    """Every key with its default, what it takes and what its comment says, as a Markdown table."""
    comments = _comments()
    rows = [
        f"| `{name}` | {_KINDS[name][1]} | {_default(value)} | {comments[line].replace('|', chr(92) + '|')} |"
        for name, value, line in _fields()
    ]
    return "\n".join(["| key | takes | default | what it does |", "|---|---|---|---|", *rows])


def _fields() -> list[tuple[str, ast.expr, int]]:
    (body,) = ast.parse(inspect.getsource(Config)).body
    assert isinstance(body, ast.ClassDef)
    return [
        (node.target.id, node.value, node.lineno)
        for node in body.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None
    ]


def _comments() -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(inspect.getsource(Config)).readline)
    return {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}


def _default(value: ast.expr) -> str:
    try:
        found = ast.literal_eval(value)
    except ValueError:  # field(default_factory=dict)
        return "none"
    if found is None or found == ():
        return "none"
    return f"`{str(found).lower()}`"
