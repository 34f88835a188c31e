"""Searching a table: the page with its filters, and the same as JSON and CSV."""

from .arguments import OF_THE_TABLE_PAGE, OURS, QUERIES, arguments_of
from .finding import chosen
from .page import answer
from .pictures import picture
from .vectors import can_ask

__all__ = ["OF_THE_TABLE_PAGE", "OURS", "QUERIES", "answer", "arguments_of", "can_ask", "chosen", "picture"]
