"""The fake models as a plugin, for a real server: `datasette serve --plugins-dir tests/plugins`."""

import sys
from pathlib import Path

from datasette import hookimpl

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a plugins folder is not importable by itself

import fake_models

MODELS = (
    fake_models.WordLengths,
    fake_models.QuerySide,
    fake_models.HeldByFile,
    fake_models.Failing,
    fake_models.Busy,
    fake_models.Priced,
    fake_models.ByteCounts,
    fake_models.NeedsKey,
    fake_models.Leaking,
    fake_models.LeakingLoad,
    fake_models.SlowLoading,
    fake_models.Unloadable,
)


@hookimpl
def register_embedding_models(register):
    for model in MODELS:
        register(model(), aliases=model.aliases)
