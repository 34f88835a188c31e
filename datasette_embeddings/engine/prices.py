"""What embedding costs: tokens, counted by the model or estimated, at the price that it names."""

from __future__ import annotations

from .contents import Content
from .errors import raising
from .models import EmbeddingModel

BYTES_PER_TOKEN = 4  # of UTF-8, where a model does not count: English has four characters a token, other scripts fewer


def price_of(model: EmbeddingModel, *, binary: bool = False) -> float | None:
    """US dollars for a million tokens; None where nothing is to be paid, or the price says nothing, as of binary."""
    return None if binary else model.price_per_million_tokens or None


def cost_of(tokens: int, price: float) -> float:
    """US dollars for so many tokens."""
    return tokens * price / 1_000_000


class TokenCounter:
    """How many tokens a content has: as the model counts them, else by its length; binary has none."""

    def __init__(self, model: EmbeddingModel) -> None:
        self._model = model
        self.counts = type(model).count_tokens is not EmbeddingModel.count_tokens  # False: tokens are estimated

    def __call__(self, content: Content) -> int:
        if isinstance(content, bytes):
            return 0
        counted = self._counted(content) if self.counts else None
        if counted is not None:
            return counted
        self.counts = False
        return -(-size_of(content) // BYTES_PER_TOKEN)

    def _counted(self, content: str) -> int | None:
        """None where the tokenizer fails: what is only counted must not keep anything from being embedded."""
        try:
            return self._model.count_tokens(content)
        except Exception:
            if raising():
                raise
            return None


def size_of(content: Content) -> int:
    """Bytes, of a text as UTF-8."""
    return len(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))


def dollars(amount: float) -> str:
    """$12.50; $0.0004; less than $0.0001."""
    if 0 < amount < 0.0001:
        return "less than $0.0001"
    return f"${amount:,.2f}" if amount >= 1 or amount == round(amount, 2) else f"${amount:,.4f}"
