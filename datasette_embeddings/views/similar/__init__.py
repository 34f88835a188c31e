"""Searching a table: the page with its filters, and the same as JSON and CSV."""

from .filtering import arguments_of
from .finding import chosen
from .page import OF_THE_TABLE_PAGE, OURS, answer
from .pictures import picture
from .vectors import can_ask

__all__ = ["OF_THE_TABLE_PAGE", "OURS", "answer", "arguments_of", "can_ask", "chosen", "picture"]
