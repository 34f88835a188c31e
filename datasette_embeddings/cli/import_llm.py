"""`datasette embed import-llm`: the vectors of a file of LLM's, taken over where they are of the rows as they are."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass

import click

from ..engine.access import connect
from ..engine.collections import Collection, create_collection, define, list_collections
from ..engine.errors import Conflict, EmbedError
from ..engine.llm.guessing import Guess, guess
from ..engine.llm.importing import import_collection
from ..engine.llm.tables import LLMCollection, find_collection
from ..engine.measures import is_measured, make_cutter
from ..engine.tables import source_table
from ..engine.transactions import transaction
from ..registry import RegisteredModel, registry_for
from .files import check_file, open_database
from .instance import instance_options
from .moved import left_out, progress, summary


@click.command("import-llm")
@click.argument("database")
@click.argument("collection")
@click.argument("file")
@click.argument("columns", nargs=-1)
@click.option("--table", help="The table that the vectors belong to; by default the one of the collection's name")
@click.option("--template", metavar="TEXT", help="How a content was dressed: {{ title }} is that column's value")
@click.option("--name", help="What LLM calls the collection; by default what it is called here")
@click.option("-m", "--model", help="Id or alias of the model; by default what LLM calls it")
@instance_options
def import_llm(database, collection, file, columns, table, template, name, model, config, plugins_dir):
    """Take over the vectors that LLM keeps in FILE for the rows of a table of DATABASE, into a COLLECTION.

    Only those whose row still has the content that LLM embedded. COLUMNS or a --template say what that is made of; left
    out, they are found by LLM's hashes.

    \b
        datasette embed import-llm data.db notes embeddings.db
        datasette embed import-llm data.db notes embeddings.db title body
    """
    began = time.monotonic()
    check_file(file)
    with open_database(database, config, plugins_dir) as (datasette, access), contextlib.closing(connect(file)) as llms:
        theirs = find_collection(llms, name or collection)
        entry = registry_for(datasette).find(model or theirs.model)
        wish = Wish(collection, table or collection, columns, template, entry)
        ours = access.write(lambda conn: wish.collection(conn, llms, theirs))
        with progress(ours.name) as shown:
            shown.say(f"{ours.name}: {made_of(ours)}, by {ours.model}")
            model, chunking = entry.model, ours.definition.chunking
            cutter = make_cutter(chunking, model) if is_measured(model) else None
            tally = import_collection(access, ours, llms, theirs, model.dimensions, shown.count, cutter)
    click.echo(summary(ours.name, "imported", tally, time.monotonic() - began))
    if tally.left_out:
        click.echo(left_out(tally, "vector"), err=True)


def made_of(collection: Collection) -> str:
    """What its contents are, which may have been guessed."""
    return collection.definition.template or ", ".join(collection.definition.columns)


@dataclass(frozen=True)
class Wish:
    """What a person typed."""

    name: str
    table: str
    columns: Sequence[str]
    template: str | None
    entry: RegisteredModel

    def collection(self, conn: sqlite3.Connection, llms: sqlite3.Connection, theirs: LLMCollection) -> Collection:
        """The collection of that name, new or not; Conflict where it is one of another model or definition."""
        with transaction(conn):
            found = [each for each in list_collections(conn) if each.name.lower() == self.name.lower()]
            if found and not (self.columns or self.template):
                return self._of_one_model(found[0], theirs)
            made_of = self._made_of(conn, llms, theirs)
            definition = define(conn, self.table, made_of.columns, made_of.template, self.entry.model)
            return create_collection(conn, definition, name=self.name, plugin=self.entry.plugin)[0]

    def _made_of(self, conn: sqlite3.Connection, llms: sqlite3.Connection, theirs: LLMCollection) -> Guess:
        if self.columns or self.template:
            return Guess(tuple(self.columns), self.template)
        source = source_table(conn, self.table)
        found = guess(conn, source, llms, theirs)
        if found is None:
            raise EmbedError(
                f"No neighbouring columns of {source.name} make the contents that LLM embedded: name the columns, or "
                f"write a --template; {source.name} has {', '.join(source.names)}"
            )
        return found

    def _of_one_model(self, ours: Collection, theirs: LLMCollection) -> Collection:
        if ours.model != self.entry.name:
            raise Conflict(
                f"The collection {ours.name} was embedded by {ours.model}, and LLM's {theirs.name} by "
                f"{self.entry.name}: vectors of two models cannot stand in one collection"
            )
        return ours
