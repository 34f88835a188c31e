"""Static models for datasette-embed: wordllama, and those of model2vec that the configuration names."""

from __future__ import annotations

import importlib.util
import os
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasette import hookimpl

from datasette_embeddings import EmbeddingModel, ModelUnavailable, PluginConfiguration

if TYPE_CHECKING:
    import numpy as np
    from model2vec import StaticModel
    from tokenizers import Tokenizer

PLUGIN = "datasette-embed-model2vec"
WORDLLAMA = "wordllama/l2_supercat_256"
TOKENIZERS = ("tokenizer.json", "0_StaticEmbedding/tokenizer.json")  # as model2vec and sentence-transformers save them

CHECKS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(("id", "name", "path"), PluginConfiguration.TEXT),
    "aliases": PluginConfiguration.TEXTS,
    "truncate_dim": PluginConfiguration.COUNT,
}


@hookimpl
def register_embedding_models(register, datasette):
    config, configuration = datasette.plugin_config(PLUGIN) or {}, PluginConfiguration(PLUGIN)
    configuration.check_keys(config, ("models",), "it")
    register(WordLlama(), aliases=("wordllama",))
    for where, entry in configuration.entries(config.get("models", []), "models", CHECKS):
        if ("name" in entry) == ("path" in entry):
            raise configuration.wrong(where, "needs either name (on the hub) or path (a folder)")
        if "path" in entry and "id" not in entry:
            raise configuration.wrong(f"{where}.id", "is needed where the model is given by its path")
        settings = Settings(**{key: value for key, value in entry.items() if key not in ("id", "aliases")})
        register(Model2Vec(entry.get("id", settings.name), settings), aliases=tuple(entry.get("aliases", ())))


@dataclass(frozen=True)
class Settings:
    """Where one of model2vec's models comes from; it has either a name or a path."""

    name: str | None = None  # on the hub
    path: str | None = None  # a folder that model2vec or sentence-transformers saved
    truncate_dim: int | None = None


class Static(EmbeddingModel):
    """A model that keeps one vector for each token, and gives a content the mean of those of its tokens.

    Nothing is cut off: a text of any length is read to its end.
    """

    _model: StaticModel
    _tokenizer: Tokenizer | None = None

    @abstractmethod
    def _read(self) -> StaticModel:
        """The model, read from where it is."""

    @abstractmethod
    def _tokenizer_file(self) -> Path | None:
        """The file with its tokenizer, or None where it is not on this machine."""

    def load(self) -> None:
        """Read the weights; `dimensions` are the model's own from then on."""
        # Unset, every subprocess that the server starts later prints a warning about it.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
        self._model = self._read()
        self.dimensions = self._model.dim

    def embed_batch(self, contents: list[str]) -> np.ndarray:
        """One row per content; zeros for a content without a token that the model knows."""
        # multiprocessing: the library's threads would switch off the tokenizer's own, for the whole process.
        return self._model.encode(_encodable(contents), max_length=None, use_multiprocessing=False)

    def count_tokens(self, content: str) -> int | None:
        """Tokens as the model reads them; None where its tokenizer is not on this machine."""
        if self._tokenizer is None and (file := self._tokenizer_file()):
            self._tokenizer = _read_tokenizer(file)
        if self._tokenizer is None:
            return None
        return len(self._tokenizer.encode(*_encodable([content]), add_special_tokens=False).ids)


class WordLlama(Static):
    """The token vectors of the package wordllama, averaged by model2vec: the same vectors in half the time."""

    model_id = WORDLLAMA
    dimensions = 256

    def _read(self) -> StaticModel:
        from model2vec import StaticModel
        from safetensors.numpy import load_file

        folder = packaged_wordllama()
        if folder is None:
            raise ModelUnavailable(f"The weights of {WORDLLAMA} are in the package wordllama, which is not installed")
        # float16 in the file
        vectors = load_file(folder / "weights" / "l2_supercat_256.safetensors")["embedding.weight"].astype("float32")
        return StaticModel(vectors, _read_tokenizer(_wordllama_tokenizer(folder)), max_length=None)

    def _tokenizer_file(self) -> Path | None:
        folder = packaged_wordllama()
        return _wordllama_tokenizer(folder) if folder else None


class Model2Vec(Static):
    """A model of model2vec, from a folder or from the hub."""

    def __init__(self, model_id: str, settings: Settings) -> None:
        self.model_id = model_id
        self.settings = settings

    def _read(self) -> StaticModel:
        from model2vec import StaticModel

        folder = self._folder()
        if folder is not None and not folder.is_dir():
            raise ModelUnavailable(f"{folder}, the path configured for {self.model_id}, is not a folder")
        source = folder or self.settings.name
        return StaticModel.from_pretrained(source, dimensionality=self.settings.truncate_dim, force_download=False)

    def _folder(self) -> Path | None:
        return Path(self.settings.path).expanduser() if self.settings.path else None

    def _tokenizer_file(self) -> Path | None:
        folder = self._folder()
        return next((folder / name for name in TOKENIZERS if (folder / name).is_file()), None) if folder else None


def packaged_wordllama() -> Path | None:
    """The folder of the package wordllama, found without importing it, or None."""
    spec = importlib.util.find_spec("wordllama")
    return Path(spec.origin).parent if spec and spec.origin else None


def _wordllama_tokenizer(folder: Path) -> Path:
    return folder / "tokenizers" / "l2_supercat_tokenizer_config.json"


def _read_tokenizer(file: Path) -> Tokenizer:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _encodable(contents: list[str]) -> list[str]:
    # A lone surrogate ("\ud800", from JSON) is not text to the tokenizer: it becomes U+FFFD, as in a browser.
    return [
        text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        for text in contents
    ]
