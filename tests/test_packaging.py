"""What we ship: the wheel and the source distribution hold all that an installed plugin needs."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PLUGINS = sorted(path.parent for path in ROOT.glob("embedding_plugins/*/pyproject.toml"))


def build(kind, source, target):
    """Build a "wheel" or an "sdist" of the distribution in `source`; the path of the file."""
    program = f"import hatchling.build, sys; print(hatchling.build.build_{kind}(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", program, str(target)], cwd=source, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return target / done.stdout.split()[-1]


def read_wheel(path):
    """The wheel's files as a dict of name to bytes."""
    with zipfile.ZipFile(path) as wheel:
        return {name: wheel.read(name) for name in wheel.namelist()}


def files(folder):
    """The names of the files below a folder of the tree, as a wheel names them."""
    paths = (ROOT / folder).resolve().rglob("*")
    return {f"{folder}/{path.relative_to((ROOT / folder).resolve()).as_posix()}" for path in paths if path.is_file()}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return read_wheel(build("wheel", ROOT, tmp_path_factory.mktemp("wheel")))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """The source distribution, unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(build("sdist", ROOT, folder)) as archive:
        archive.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    (unpacked,) = (path for path in folder.iterdir() if path.is_dir())
    return unpacked


@pytest.mark.parametrize("folder", ["templates", "static", "cli/skeleton"])
def test_the_wheel_holds_all_that_is_no_code(wheel, folder):
    """Every template and static file is in the wheel, although templates/ is a symlink."""
    assert files(f"datasette_embeddings/{folder}") <= set(wheel)


def test_the_wheel_names_its_entry_point(wheel):
    """Datasette finds us: the entry point is the package itself."""
    (entry_points,) = (text for name, text in wheel.items() if name.endswith("entry_points.txt"))
    assert entry_points.decode().split() == ["[datasette]", "embed", "=", "datasette_embeddings"]


def test_the_wheel_holds_nothing_else(wheel):
    """No test, no benchmark and no cache is installed."""
    assert {name.split("/")[0].partition("-")[0] for name in wheel} == {"datasette_embeddings", "datasette_embed"}
    assert not [name for name in wheel if "__pycache__" in name]


def test_the_source_distribution_builds_the_same_wheel(sdist, wheel, tmp_path):
    """A wheel made from the source distribution has the same files."""
    assert set(read_wheel(build("wheel", sdist, tmp_path))) == set(wheel)


def test_the_source_distribution_is_the_source(sdist):
    """It holds the licence and the tests, and nothing that was built."""
    assert {"LICENSE", "README.md", "pyproject.toml", "tests"} <= {path.name for path in sdist.iterdir()}
    assert not list(sdist.glob(".venv*"))


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)
def test_a_model_plugin_is_one_module(plugin, tmp_path):
    """Each model plugin ships one module, and Datasette finds it."""
    wheel = read_wheel(build("wheel", plugin, tmp_path))
    (module,) = (name for name in wheel if name.endswith(".py"))
    (entry_points,) = (text for name, text in wheel.items() if name.endswith("entry_points.txt"))
    assert entry_points.decode().split()[0] == "[datasette]"
    assert module.removesuffix(".py") in entry_points.decode().split()


def test_an_import_is_light():
    """To import us adds no numpy, no torch and no datasette.app to what Datasette's plugin manager imports."""
    program = """
import sys
sys._called_from_test = True  # Datasette then loads no installed plugin, us among them
import datasette.plugins
before = set(sys.modules)
import datasette_embeddings
heavy = {"numpy", "torch", "sentence_transformers", "transformers", "llm", "datasette.app", "uvicorn", "rich"}
print(sorted(heavy & (set(sys.modules) - before)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_it_may_be_imported_before_datasette():
    """A script that imports us first gets every hook of ours, and the model plugins that import us in turn."""
    program = """
import datasette_embeddings
from datasette.plugins import pm
print(*(hook.name for hook in pm.get_hookcallers(datasette_embeddings)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {"register_routes", "prepare_connection"} <= set(done.stdout.split())
