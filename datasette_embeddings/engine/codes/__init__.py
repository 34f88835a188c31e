"""One-bit codes: a 32nd of a vector's size, scanned to find the few hundred vectors worth an exact look."""

from .blocks import SLOTS, pack_block, patch_block
from .index import CodeIndex
from .signs import centre_of

__all__ = ["SLOTS", "CodeIndex", "centre_of", "pack_block", "patch_block"]
