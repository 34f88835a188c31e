"""The filters of Datasette's table pages, as conditions that the rows to be ranked must meet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datasette.plugins import pm
from datasette.utils import await_me_maybe
from datasette.utils.asgi import BadRequest

from ...engine.errors import EmbedError
from ...engine.identifiers import quote
from ...engine.tables import SourceTable
from ..visit import Visit
from .arguments import Argument, arguments_of, is_filter

if TYPE_CHECKING:
    from datasette.filters import Filters

    from ...engine.search import Among


@dataclass(frozen=True)
class Filtering:
    """What restricts the rows: conditions, their named parameters, and how a person reads them."""

    filters: Filters
    clauses: tuple[str, ...] = ()
    parameters: dict[str, Any] | None = None
    description: str = ""

    def query(self, source: SourceTable) -> str:
        """The query that selects the keys of the rows."""
        keys = ", ".join(quote(key.name) for key in source.keys)
        return f"select {keys} from {quote(source.name)} where {' and '.join(self.clauses)}"

    def among(self, source: SourceTable) -> Among | None:
        """The rows that may be ranked; None where that is all of them."""
        from ...engine.search import Among  # on first use: it comes with numpy

        # The end of the line closes a comment that ?_where= may have opened.
        return Among(self.query(source) + "\n", self.parameters or {}) if self.clauses else None


async def filtering_of(visit: Visit, source: SourceTable) -> Filtering:
    """The filters of the address, those of other plugins included."""
    filters = _filters(_pairs(visit))
    _check(filters, source)
    try:
        clauses, parameters = filters.build_where_clauses(source.name)
        descriptions: list[str] = []
        for found in await _of_plugins(visit, source):
            clauses += found.where_clauses
            parameters |= found.params
            descriptions += found.human_descriptions
        description = filters.human_description_en(extra=descriptions)
    except (ValueError, LookupError, TypeError, AttributeError) as error:  # such as ?x__in=[ and ?_through={}
        reason = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise EmbedError(f"A filter cannot be read: {reason}") from error
    return Filtering(filters, tuple(clauses), parameters, description)


def unchecked(visit: Visit) -> Filtering:
    """The filters of the address as they stand in the form; they restrict nothing, for one may be wrong."""
    return Filtering(_filters(_pairs(visit)))


def _pairs(visit: Visit) -> list[Argument]:
    return sorted((name, value) for name, value in arguments_of(visit.request) if is_filter(name))


def _filters(pairs: list[Argument]) -> Filters:
    from datasette.filters import Filters  # it imports the plugins, and so us

    return Filters(pairs)


def _check(filters: Filters, source: SourceTable) -> None:
    """Datasette answers an unknown column with no rows and passes over an unknown operator."""
    operators = {operator for operator, _, _ in filters.lookups()}
    known = {name.lower() for name in (*source.names, *(key.name for key in source.keys))}
    for column, operator, _ in filters.selections():
        whole = f"{column}__{operator}"
        if operator not in operators:
            there = f": the column {whole!r} is filtered by {whole}__exact=" if whole.lower() in known else ""
            raise EmbedError(f"There is no operator {operator!r} to filter {column!r} by{there}")
        if column.lower() not in known:
            raise EmbedError(f"{source.name} has no column {column!r} to filter by")


async def _of_plugins(visit: Visit, source: SourceTable) -> list[Any]:
    """What the hooks say, Datasette's own for ?_where=, ?_search= and ?_through= among them."""
    from datasette.views.base import DatasetteError  # as above

    found = []
    arguments = {"request": visit.request, "table": source.name, "database": visit.database.name}
    try:
        for hook in pm.hook.filters_from_request(datasette=visit.datasette, **arguments):
            found.append(await await_me_maybe(hook))
    except DatasetteError as error:
        raise _refused(str(error), error.status) from error
    except BadRequest as error:
        raise EmbedError(str(error)) from error
    return [filters for filters in found if filters]


def _refused(message: str, status: int) -> EmbedError:
    error = EmbedError(message)
    error.status = 400 if status == 500 else status  # the status that a DatasetteError has where none is given
    return error
