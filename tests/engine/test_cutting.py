"""Cutting: every character that matters is in a chunk, every chunk fits, and borders are where a reader sees them."""

import time
from itertools import pairwise

import pytest
from chunked import SPECIAL, ShortSighted, numbered_words
from hypothesis import example, given
from hypothesis import strategies as st
from servers import PATIENCE

from datasette_embeddings.engine.chunking import Chunking
from datasette_embeddings.engine.contents import content_hash, make_recipe
from datasette_embeddings.engine.errors import EmbedError
from datasette_embeddings.engine.measures import make_cutter

MEGABYTE = 1_000_000  # characters
PLAIN = make_recipe("t", ["title", "body"], ["title", "body"])
# It reads the body, then the title.
DRESSED = make_recipe("t", ["title", "body"], ["body"], "{{ title }}:\n{{ chunk }}")


def cut(*values, recipe=PLAIN, model=None, **wish):
    cutter = make_cutter(Chunking(**wish), model or ShortSighted())
    return cutter.chunks(recipe, values, recipe.content(values))


def texts(chunks):
    return [chunk.content for chunk in chunks]


def left_out(text, chunks):
    """What stands in no chunk."""
    end, parts = 0, []
    for chunk in chunks:
        parts.append(text[end : chunk.start])
        end = max(end, chunk.end)
    return "".join([*parts, text[end:]])


def test_a_text_that_fits_is_not_cut():
    """What the model reads whole is one chunk, to the last token."""
    (chunk,) = cut("one", numbered_words(13))
    assert (chunk.start, chunk.end) == (0, len(chunk.content))
    assert chunk.content_hash == content_hash(PLAIN.content(["one", numbered_words(13)]))
    assert len(cut("one", numbered_words(14))) == 2


def test_paragraphs_then_sentences_then_words():
    """The largest borders that fit are taken."""
    text = "One two three. Four five six.\n\n" + "Seven eight nine. " * 3 + "\n\n" + numbered_words(20) + "."
    chunks = texts(cut(text, None, overlap=0))
    assert chunks[:2] == ["One two three. Four five six.", "Seven eight nine. Seven eight nine. Seven eight nine."]
    assert chunks[2:] == [numbered_words(14), numbered_words(6, 14) + "."]


def test_a_heading_goes_with_the_text_below_it():
    """What is smaller than a quarter of a chunk is no chunk of its own where more text follows."""
    text = f"Title\n{numbered_words(40)}.\n\nHeading\n{numbered_words(20)}.\n\nEnd."
    chunks = texts(cut(text, None, overlap=0))
    assert chunks[0].startswith("Title\nw0 w1 ")
    assert [len(chunk.split()) for chunk in chunks] == [14, 14, 13, 14, 8]
    assert chunks[3].startswith("Heading\nw0 ")


def test_neighbours_share_what_was_wished():
    """A chunk begins with up to so many tokens of the one before it, and none with none."""
    shared = cut(numbered_words(40), None, overlap=4)
    assert [chunk.content.split()[0] for chunk in shared] == ["w0", "w10", "w20", "w30"][: len(shared)]
    assert all(later.start < earlier.end for earlier, later in pairwise(shared))
    alone = cut(numbered_words(40), None, overlap=0)
    assert " ".join(texts(alone)) == numbered_words(40)


def test_a_template_dresses_every_chunk():
    """Each keeps its title, whose tokens are taken from the room; ranges are those of the text."""
    body = numbered_words(30)
    chunks = cut(body, "The title", recipe=DRESSED, overlap=0)
    assert [chunk.content for chunk in chunks] == [f"The title:\n{body[c.start : c.end]}" for c in chunks]
    assert [len(chunk.content.split()) for chunk in chunks] == [14, 14, 8]


def test_a_template_that_leaves_no_room():
    """Where what the template puts in fills the model, the row is an error; not where the whole fits all the same."""
    with pytest.raises(EmbedError, match="The template takes 15 of the 16 tokens or characters that a content may"):
        cut(numbered_words(5), numbered_words(13), recipe=DRESSED)
    assert len(cut("w13", numbered_words(13), recipe=DRESSED)) == 1


def test_a_template_without_the_chunk_is_not_cut():
    """There is no part of it that could stand alone."""
    recipe = make_recipe("t", ["title", "body"], [], "{{ title }} {{ body }}")
    assert len(cut("The title", numbered_words(50), recipe=recipe)) == 1


def test_by_characters():
    """The size is of the content, the template with it."""
    chunks = cut("abcd " * 40, "T", recipe=DRESSED, unit="characters", size=50, overlap=0)
    assert all(len(chunk.content) <= 50 and len(chunk.content.split()) <= 16 - SPECIAL for chunk in chunks)
    assert chunks[0].content == "T:\n" + " ".join(["abcd"] * 8)


def test_characters_never_more_than_the_model_reads():
    """Short words: the model's own limit is nearer than the one that was wished."""
    chunks = cut("a " * 100, None, unit="characters", size=120, overlap=0)
    assert [len(chunk.content.split()) for chunk in chunks] == [14] * 7 + [2]


def test_where_a_text_is_blank_between():
    """White space between chunks is left out, nothing else; a row is never without a chunk."""
    text = "one" + "\n" * 5000 + "two " * 20
    chunks = cut(text, None, overlap=0)
    assert not left_out(text, chunks).strip()
    (chunk,) = cut("\n" * 5000, "x" * 4, unit="characters", size=100, overlap=0)
    assert chunk.content == "xxxx"


@pytest.mark.parametrize(
    "text",
    [
        "a" * MEGABYTE,
        "\0" * MEGABYTE,
        "👩‍👩‍👧‍👦" * (MEGABYTE // 7),
        "e" + "\u0301" * MEGABYTE,
        "漢字仮名交じり文。" * (MEGABYTE // 9),
        "line one\r\nline two\r\n\r\n" * (MEGABYTE // 22),
        "to be or not " * (MEGABYTE // 13),
        " " * MEGABYTE + "x",
    ],
    ids=["no space", "NUL", "emoji", "combining", "CJK", "CRLF", "words", "blank"],
)
@pytest.mark.parametrize("unit", ["tokens", "characters"])
def test_a_megabyte(text, unit):
    """Whatever a million characters are, they are cut in seconds and none that matters is lost."""
    began = time.monotonic()
    chunks = cut(text, None, model=ByCharacter(), unit=unit, size=800)
    assert time.monotonic() - began < PATIENCE  # on a machine that others use too
    assert not left_out(text, chunks).strip()
    assert max(len(chunk.content) for chunk in chunks) <= 800


class ByCharacter(ShortSighted):
    max_tokens = 800

    def count_tokens(self, content):
        return len(content)


TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(" \n.\r\u0301👩‍x"), max_size=400)


@example("0" * 13, "000\n0", "tokens", 16, 3)
@given(TEXT, TEXT, st.sampled_from(["tokens", "characters"]), st.integers(16, 60), st.none() | st.integers(0, 8))
def test_every_text(title, body, unit, size, overlap):
    """Chunks stand in order, fit, are what their range says, and leave out nothing but white space."""
    model = ByCharacter()
    cutter = make_cutter(Chunking(unit, size, overlap), model)
    whole = PLAIN.content([title, body])
    if whole is None:
        return
    chunks = cutter.chunks(PLAIN, [title, body], whole)
    assert [whole[chunk.start : chunk.end] for chunk in chunks] == texts(chunks)
    assert all(model.count_tokens(chunk.content) <= size for chunk in chunks)
    assert not left_out(whole, chunks).strip()
    assert sorted({chunk.start for chunk in chunks}) == [chunk.start for chunk in chunks]
