"""The engine knows sqlite3 and numpy, and nothing of Datasette."""
