"""What a job is compared with: LLM doing the same, and the model's own library handed the whole list at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datasette_embeddings.engine.models import EmbeddingModel


class Contestant(NamedTuple):
    """What is measured, and what makes it possible to run it again."""

    run: Callable[[], object]
    tidy: Callable[[], object] = lambda: None


Peers = dict[str, Contestant]


def peers(model: EmbeddingModel, path: Path, contents: list[str]) -> Peers:
    """By name: what embeds the table texts(id, text) of that file, or the same contents in memory."""
    return PEERS.get(type(model).__module__, no_library)(model, path, contents)


def kind_of(model: EmbeddingModel) -> str:
    """The dtype of a PyTorch model, to be printed after its name."""
    parameters = getattr(getattr(model, "library", None), "parameters", None)
    return f", {next(parameters()).dtype}" if parameters else ""


def sentence_transformers(model: EmbeddingModel, path: Path, contents: list[str]) -> Peers:
    """The method that `llm embed-multi --sql` calls, and encode() by the library's own model, of our dtype."""
    import llm_sentence_transformers
    from sentence_transformers import SentenceTransformer

    peer = llm_sentence_transformers.SentenceTransformerModel("peer", str(model._source()), False)
    peer.embed("load")
    bare = SentenceTransformer(model._source(), model_kwargs={"dtype": next(model.library.parameters()).dtype})
    return {
        "llm embed-multi": Contestant(lambda: embed_multi(path, peer), lambda: delete_llm(path)),
        "bare encode()": Contestant(lambda: bare.encode(contents, show_progress_bar=False)),
    }


def embed_multi(path: Path, model: object) -> None:
    """What `llm embed-multi bench --sql` does, with a model that is loaded already."""
    import llm
    import sqlite_utils

    db = sqlite_utils.Database(path)
    collection = llm.Collection("bench", db, model=model)
    collection.embed_multi((str(row["id"]), row["text"]) for row in db.query("select id, text from texts"))
    db.close()


def delete_llm(path: Path) -> None:
    """Drop the collection that embed_multi() made."""
    import llm
    import sqlite_utils

    db = sqlite_utils.Database(path)
    llm.Collection("bench", db, create=False).delete()
    db.close()


def static(model: EmbeddingModel, path: Path, contents: list[str]) -> Peers:
    """embed() of the package wordllama where it is that model, and the averages that model2vec makes for us."""
    bare: Peers = {"bare model2vec": Contestant(lambda: model.embed_batch(contents))}
    if model.model_id.startswith("wordllama/"):
        import wordllama

        folder = Path(wordllama.__file__).parent  # its default is a folder that is not there
        library = wordllama.WordLlama.load(cache_dir=folder, disable_download=True)
        bare = {"bare wordllama": Contestant(lambda: library.embed(contents)), **bare}
    return bare


def no_library(model: EmbeddingModel, path: Path, contents: list[str]) -> Peers:
    """The model itself."""
    return {"bare embed_batch()": Contestant(lambda: model.embed_batch(contents))}


PEERS = {
    "datasette_embed_sentence_transformers": sentence_transformers,
    "datasette_embed_model2vec": static,
}
