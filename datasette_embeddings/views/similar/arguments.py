"""The arguments of the search's address: which are ours, what a form's fields amount to, and addresses made of them."""

from __future__ import annotations

from urllib.parse import urlencode

from datasette.utils import filters_should_redirect

from ..visit import Urls, Visit
from .asked import MEANING, SIZE

Argument = tuple[str, str]

OURS = {"_mode", "_size", "_collection", "_min_score"}
QUERIES = ("q", "row")  # a column of such a name is filtered by q__exact=
# Arguments that mean something to the table page alone.
OF_THE_TABLE_PAGE = {
    *("_next", "_sort", "_sort_desc", "_sort_by_desc", "_shape", "_labels", "_label", "_header"),
    *("_facet", "_facet_date", "_facet_array", "_facet_size", "_nofacet", "_nosuggest", "_nocount", "_trace"),
    *("_timelimit", "_extra", "_json", "_json_infinity", "_nl", "_ttl", "_dl", "_stream", "_blob_column"),
}
_DEFAULTS = {("_mode", MEANING), ("_size", str(SIZE))}
_FIELDS = ("_filter_column", "_filter_op", "_filter_value")  # of the form, as on the table page


def arguments_of(request) -> list[Argument]:
    """The address's arguments in their order, each time one is given."""
    return [(name, value) for name in request.args for value in request.args.getlist(name)]


def is_filter(name: str) -> bool:
    """True for an argument that filters a column."""
    return name not in QUERIES and (not name.startswith("_") or "__" in name)


def is_restriction(name: str) -> bool:
    """True for an argument that may restrict the rows, such as _where and those of other plugins, or the columns."""
    return name.startswith("_") and "__" not in name and name not in OURS | OF_THE_TABLE_PAGE


def address(visit: Visit, pairs: list[Argument], suffix: str | None = None) -> str:
    """The search of this table with these arguments."""
    path = Urls(visit.datasette).similar(visit.database.name, str(visit.table))
    return path + (f".{suffix}" if suffix else "") + ("?" + urlencode(pairs) if pairs else "")


def tidied(visit: Visit) -> str | None:
    """The address that a form's fields amount to, as on the table page; None where no form was sent."""
    if not any(name.startswith(_FIELDS) for name in visit.request.args):
        return None
    pairs = [pair for pair in arguments_of(visit.request) if not pair[0].startswith(_FIELDS)]
    pairs += [(name, value) for name, value in filters_should_redirect(visit.request.args) if value is not None]
    pairs = [pair for pair in pairs if not (pair in _DEFAULTS or (pair[0] in (*QUERIES, *OURS) and not pair[1]))]
    if any(name == "q" for name, _ in pairs):
        pairs = [pair for pair in pairs if pair[0] != "row"]  # what was typed, on a page of rows like a row
    return address(visit, pairs, visit.request.url_vars.get("format"))
