"""The first query of a process that has just started, and the memory that searching takes; printed as JSON.

    python bench/search_fresh.py FILE

bench/search.py runs it once a round. The file may be in the system's cache; nothing of ours is.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
from search_contestants import our_answer
from search_files import TABLE

from datasette_embeddings.engine.access import connect
from datasette_embeddings.engine.collections import get_collection


def main(path: Path) -> None:
    """Measure the first query, the second, and twenty more."""
    conn = connect(path)
    table = get_collection(conn, TABLE).vector_table
    rows = conn.execute(f'select vector from "{table}" where vector_id % 4999 = 3 limit 22').fetchall()
    queries = [np.frombuffer(row[0], "<f4") for row in rows]
    conn.close()
    began_at = resident()
    answer = our_answer(path)
    first = timed(answer, queries[0])
    second = timed(answer, queries[1])
    for query in queries[2:]:
        answer(query)
    figures = {"first": first, "second": second, "held": resident() - began_at, "peak": peak() - began_at}
    print(json.dumps(figures))


def timed(answer, query) -> float:
    """Seconds of one answer."""
    began = time.perf_counter()
    answer(query)
    return time.perf_counter() - began


def resident() -> int:
    """Bytes of memory that this process holds."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def peak() -> int:
    """The most that it ever held; getrusage() would tell of the process that started this one."""
    with open("/proc/self/status") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
