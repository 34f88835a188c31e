"""What embedding costs: tokens, counted by the model or estimated, at the price that it names."""

from __future__ import annotations

from collections.abc import Callable

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


def counts_tokens(model: EmbeddingModel) -> bool:
    """Whether the model counts tokens itself; else they are estimated."""
    return type(model).count_tokens is not EmbeddingModel.count_tokens


def token_counter(model: EmbeddingModel) -> Callable[[Content], int]:
    """How many tokens a content has: as the model counts them, else by its length; binary has none.

    A tokenizer that fails is not asked again: what is only counted must not keep anything from being embedded.
    """
    asks = counts_tokens(model)

    def tokens(content: Content) -> int:
        nonlocal asks
        if isinstance(content, bytes):
            return 0
        if asks:
            try:
                counted = model.count_tokens(content)
            except Exception:
                if raising():
                    raise
                counted = None
            if counted is not None:
                return counted
            asks = False
        return -(-len(content.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN)

    return tokens


def dollars(amount: float) -> str:
    """$12.50; $0.0004; less than $0.0001."""
    if 0 < amount < 0.0001:
        return "less than $0.0001"
    return f"${amount:,.2f}" if amount >= 1 or amount == round(amount, 2) else f"${amount:,.4f}"
