"""Models that read only so much, and texts that are longer."""

from __future__ import annotations

from fake_models import DIMENSIONS, WordLengths

SPECIAL = 2  # tokens that a model adds to every content


class ShortSighted(WordLengths):
    """A word is a token; it reads 16 of them, two of which it adds itself, and sees nothing of what follows."""

    model_id = "short-sighted"
    aliases = ()
    max_tokens = 16

    def count_tokens(self, content):
        return len(content.split()) + SPECIAL

    def embed_batch(self, contents):
        seen = self.max_tokens - SPECIAL
        return [[*vector[:seen], *[0.0] * (DIMENSIONS - seen)] for vector in super().embed_batch(contents)]


class Countless(WordLengths):
    """Reads 40 tokens and cannot say how many a text has."""

    model_id = "countless"
    aliases = ()
    max_tokens = 40


def numbered_words(count, start=0):
    """Words that are all different, so that one sees what was lost."""
    return " ".join(f"w{number}" for number in range(start, start + count))
