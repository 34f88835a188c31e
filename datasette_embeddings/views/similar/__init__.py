"""Searching a table: the page with its filters, and the same as JSON and CSV."""

from .page import answer

__all__ = ["answer"]
