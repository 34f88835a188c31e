"""`datasette embed models`: what is installed."""

from __future__ import annotations

import json

import click

from ..engine.errors import EmbedError, KeyRefused
from ..registry import NO_MODELS, RegisteredModel, Registry, registry_for
from .instance import instance_options, open_instance


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As a JSON array")
@instance_options
def models(as_json, config, plugins_dir):
    """List the installed models, with the names they go by."""
    with open_instance(config, plugins_dir) as datasette:
        registry = registry_for(datasette)
        described = [_described(entry, registry) for entry in registry.models]
    if as_json:
        return click.echo(json.dumps(described, indent=2, ensure_ascii=False))
    if not described:
        raise EmbedError(NO_MODELS)
    for model in described:
        click.echo(_lines(model))


def _described(entry: RegisteredModel, registry: Registry) -> dict:
    model = entry.model
    return {
        "id": entry.name,
        "aliases": list(entry.aliases),
        "plugin": entry.plugin,
        "version": entry.version,
        "text": model.supports_text,
        "binary": model.supports_binary,
        "dimensions": model.dimensions,
        "max_tokens": model.max_tokens,
        "remote": bool(model.remote),
        "default": _is_default(entry, registry),
        "missing": _missing(entry),
    }


def _is_default(entry: RegisteredModel, registry: Registry) -> bool:
    try:
        return registry.default() is entry
    except EmbedError:  # several models and no choice between them
        return False


def _missing(entry: RegisteredModel) -> str | None:
    """What keeps the model from being used, as a sentence."""
    try:
        entry.model.get_key()
    except KeyRefused as error:
        return str(error)
    return None


def _lines(model: dict) -> str:
    kinds = " and ".join(kind for kind in ("text", "binary") if model[kind])
    facts = [
        kinds,
        f"{model['dimensions']} dimensions" if model["dimensions"] else None,
        f"at most {model['max_tokens']:,} tokens" if model["max_tokens"] else None,
        "calls another server" if model["remote"] else "runs here",
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
