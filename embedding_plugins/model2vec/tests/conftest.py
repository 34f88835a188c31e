"""A model of model2vec small enough to read: one axis for each word, saved as the library saves it."""

import pytest

np = pytest.importorskip("numpy")

WORDS = ["bread", "flour", "water", "swifts", "sleep", "fly", "bicycle", "chain", "oil", "and", "when", "the"]


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A saved model whose vectors are averages of the words' unit vectors, [UNK] left out."""
    from model2vec import StaticModel
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate([*WORDS, "[UNK]"])}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    path = tmp_path_factory.mktemp("model2vec") / "words"
    StaticModel(np.eye(len(WORDS) + 1, dtype=np.float32), tokenizer).save_pretrained(path)
    return path
