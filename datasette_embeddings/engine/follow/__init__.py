"""Following changes: triggers note the keys of rows that change, whoever writes, and jobs deal with the notes."""
