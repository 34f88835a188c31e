"""Consoles as the documentation shows them: commands after `$ `, each with what it prints, where … is anything."""

from __future__ import annotations

import os
import re
import site
import subprocess
import venv

from servers import DATASETTE

END = "--- the end of a command ---"


def fresh_environment(folder, plugins):
    """The variables of a shell in a new virtual environment with all that this one has, and no network.

    Datasette loads these plugins alone, once they are there.
    """
    venv.create(folder, with_pip=False)
    (packages,) = folder.glob("lib/python*/site-packages")
    outer = "".join(f"import site; site.addsitedir({path!r})\n" for path in site.getsitepackages())
    (packages / "outer.pth").write_text(outer)
    for name, program in (("datasette", DATASETTE), ("pip", "-m pip")):
        script = folder / "bin" / name
        script.write_text(f'#!/bin/sh\nexec "{folder}/bin/python" {program} "$@"\n')
        script.chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{folder}/bin{os.pathsep}{os.environ['PATH']}",
        "DATASETTE_LOAD_PLUGINS": ",".join(plugins),
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # as in --no-build-isolation: hatchling is here, and could not be downloaded
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


def play(consoles, folder, env):
    """Type all commands into one shell in this folder; AssertionError where one fails or prints something else."""
    shown = [part.partition("\n") for console in consoles for part in re.split(r"^\$ ", console, flags=re.M)[1:]]
    script = "\n".join(f"{command}\necho '{END}'" for command, _, _ in shown)
    done = subprocess.run(["sh", "-e"], input=script, cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for (command, _, expected), printed in zip(shown, done.stdout.split(f"{END}\n"), strict=False):
        assert re.fullmatch(pattern(expected), printed), f"$ {command}\n{printed}"


def pattern(expected):
    """The regular expression of a shown output: … is any text, and alone on a line any lines, or none."""
    lines = [
        r"(?:.*\n)*" if line == "…\n" else re.escape(line).replace("…", ".*") for line in expected.splitlines(True)
    ]
    return "".join(lines)
