"""What the other process is started with: `python script.py DESCRIPTOR...`, a socket's descriptor each.

It imports our engine under another name, because importing the package around it would import Datasette.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

ENGINE = "engine"

if __name__ == "__main__":
    folder = Path(__file__).resolve().parents[2]
    spec = importlib.util.spec_from_file_location(
        ENGINE, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    sys.modules[ENGINE] = importlib.util.module_from_spec(spec)
    child = importlib.import_module(f"{ENGINE}.codes.process.child")
    child.serve([int(argument) for argument in sys.argv[1:]])
