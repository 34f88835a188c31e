"""Views shared by all threads: loaded once, on connections of their own, within a budget of memory."""

from __future__ import annotations

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import closing

from ..collections import Collection, collection_by_id
from ..errors import NotFound
from .views import View, load, renew

Opener = Callable[[], sqlite3.Connection]


class _Entry:
    """One collection's place: its view, and the lock under which it is loaded."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.view: View | None = None


class Caches:
    """The views of many collections; what was used least lately goes first where the budget is exceeded."""

    def __init__(self, budget: int) -> None:
        self.budget = budget  # bytes
        self._room = budget // 2  # for one collection's vectors; one that needs more gets by with codes
        self._lock = threading.Lock()
        self._entries: OrderedDict[tuple[str, int], _Entry] = OrderedDict()

    def view(self, conn: sqlite3.Connection, collection: Collection, database: str, opener: Opener | None) -> View:
        """The view of exactly what `conn` sees of the collection.

        What is committed is shared by all; what only this connection sees (a write that is not committed, or a state
        that was current when its transaction began) is added for it alone. Without an opener the asking connection
        reads for all, as long as it is not writing.
        """
        entry = self._entry(database, collection.id)
        view = entry.view
        if view is None or view.token != collection.token:
            view = self._refreshed(entry, conn, collection, opener) or view
        return _brought_to(view, conn, collection, self._room)

    def _entry(self, database: str, collection_id: int) -> _Entry:
        with self._lock:
            entry = self._entries.setdefault((database, collection_id), _Entry())
            self._entries.move_to_end((database, collection_id))
            return entry

    def _refreshed(
        self, entry: _Entry, conn: sqlite3.Connection, wanted: Collection, opener: Opener | None
    ) -> View | None:
        """The entry's view brought to what is committed; None where that is another collection or cannot be read."""
        with entry.lock:
            if entry.view is not None and entry.view.token == wanted.token:
                return entry.view  # another thread did it meanwhile
            if opener is not None:
                view = _committed(entry.view, wanted, opener, self._room)
            else:
                view = None if conn.in_transaction else _brought_to(entry.view, conn, wanted, self._room)
            if view is not None:
                entry.view = view
                self._keep_to_budget()
            return view

    def _keep_to_budget(self) -> None:
        with self._lock:
            total = 0
            for entry in reversed(self._entries.values()):
                if entry.view is not None:
                    total += entry.view.index.nbytes
                    if total > self.budget:
                        entry.view = None


def _committed(view: View | None, wanted: Collection, opener: Opener, room: int) -> View | None:
    try:
        with closing(opener()) as conn:
            # Who holds a lock against us waits for the connection that asks to end its read: to wait too is a deadlock.
            conn.execute("pragma busy_timeout = 0")
            conn.execute("begin")  # one state of the file for all that is read
            collection = collection_by_id(conn, wanted.id)
            if collection.name != wanted.name or collection.dimensions != wanted.dimensions:
                return None
            return _brought_to(view, conn, collection, room)
    except (NotFound, sqlite3.OperationalError):  # not committed, or locked: the asking connection reads for itself
        return None


def _brought_to(view: View | None, conn: sqlite3.Connection, collection: Collection, room: int) -> View:
    """What the connection sees of the collection, from what an older or newer view holds of it."""
    if view is None:
        return load(conn, collection.codes, collection.token, room)
    return view if view.token == collection.token else renew(view, conn, collection.codes, collection.token, room)
