"""`datasette embed models`: what is installed."""

from __future__ import annotations

import json

import click

from ..engine.errors import EmbedError
from ..engine.prices import dollars
from ..registry import NO_MODELS, RegisteredModel, Registry, registry_for
from .instance import instance_options, open_instance


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As a JSON array")
@instance_options
def models(as_json, config, plugins_dir):
    """List the installed models, with the names they go by."""
    with open_instance(config, plugins_dir) as datasette:
        registry = registry_for(datasette)
        described = [{**entry.as_json(), "default": _is_default(entry, registry)} for entry in registry.models]
    if as_json:
        return click.echo(json.dumps(described, indent=2, ensure_ascii=False))
    if not described:
        raise EmbedError(NO_MODELS)
    for model in described:
        click.echo(_lines(model))


def _is_default(entry: RegisteredModel, registry: Registry) -> bool:
    try:
        return registry.default() is entry
    except EmbedError:  # several models and no choice between them
        return False


def _lines(model: dict) -> str:
    kinds = " and ".join(kind for kind in ("text", "binary") if model[kind])
    facts = [
        kinds,
        f"{model['dimensions']} dimensions" if model["dimensions"] else "dimensions known once used",
        f"reads {model['max_tokens']:,} tokens" if model["max_tokens"] else "longest text not known",
        "calls another server" if model["remote"] else "runs here",
        f"{dollars(price)} for a million tokens" if (price := model["price_per_million_tokens"]) else None,
        "the default" if model["default"] else None,
    ]
    return "\n".join(
        [
            model["id"],
            *([f"  aliases: {', '.join(model['aliases'])}"] if model["aliases"] else []),
            f"  from {model['plugin']} {model['version'] or ''}".rstrip(),
            f"  {', '.join(fact for fact in facts if fact)}",
            f"  {model['missing'] or 'ready'}",
        ]
    )
