"""What a row's content is: joined columns, templates, blanks, and its hash."""

import pytest

from datasette_embeddings.engine.contents import content_hash, make_recipe
from datasette_embeddings.engine.errors import BadTemplate, UnknownColumn

COLUMNS = ("id", "title", "Body Text", "chunk", "row.x")


def content(values, columns=(), template=None, known=COLUMNS):
    """The content of a row, by column name."""
    recipe = make_recipe("notes", known, columns, template)
    return recipe.content([values.get(column) for column in recipe.reads])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"title": "a", "Body Text": "b"}, "a\nb"),
        ({"title": None, "Body Text": "b"}, "b"),
        ({"title": "a", "Body Text": None}, "a"),
        ({"title": " a ", "Body Text": "b\n"}, " a \nb\n"),
        ({"title": "", "Body Text": "b"}, "\nb"),
        ({"title": None, "Body Text": None}, None),
        ({"title": " \t\n", "Body Text": ""}, None),
        ({"title": "0", "Body Text": None}, "0"),
    ],
)
def test_joined_columns(values, expected):
    """The columns joined by newlines, without the NULLs; nothing where all is blank."""
    assert content(values, ["title", "Body Text"]) == expected


def test_columns_are_found_ignoring_case_and_taken_once():
    """A column is spelled as the table spells it, in the order given, once."""
    assert make_recipe("notes", COLUMNS, ["TITLE", "body text", "title"]).reads == ("title", "Body Text")


@pytest.mark.parametrize(
    ("template", "columns", "expected"),
    [
        ("{{ title }}: {{ body text }}", (), "T: B"),
        ("{{title}}{{   title   }}", (), "TT"),
        ("{{ row.title }} {{ row.x }}", (), "T X"),
        ("title: {{ title }}\n\n{{ chunk }}", ("title", "Body Text"), "title: T\n\nT\nB"),
        ("{{ row.chunk }}", (), "C"),
        ("{{ row.chunk }} {{ chunk }}", ("title",), "C T"),
        ("{ {{ title }} } {% if %} {{{ title }}", (), "{ T } {% if %} {{{ title }}"),
        ("é {{ title }} 🦋", (), "é T 🦋"),
    ],
)
def test_templates(template, columns, expected):
    """Columns are put in where they are named, and nothing is evaluated."""
    values = {"title": "T", "Body Text": "B", "chunk": "C", "row.x": "X"}
    if "{{{" in template:
        with pytest.raises(BadTemplate, match=r"names the column '{ title'"):
            content(values, columns, template)
    else:
        assert content(values, columns, template) == expected


def test_a_value_is_not_a_template():
    """What looks like a template in a value stays as it is."""
    assert content({"title": "{{ id }}", "id": "7"}, template="{{ title }}") == "{{ id }}"


@pytest.mark.parametrize("values", [{}, {"title": " "}, {"title": None, "id": ""}])
def test_a_template_around_nothing(values):
    """A row whose columns are all blank has no content, whatever the template says around them."""
    assert content(values, template="Title: {{ title }}, id: {{ id }}") is None


def test_null_in_a_template():
    """NULL is put in as nothing."""
    assert content({"title": None, "id": "7"}, template="{{ title }}-{{ id }}") == "-7"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("no column", "The template names no column of notes; write a column as {{ id }}"),
        ("{{ }}", "The template names the column '', which notes does not have"),
        ("{{ nosuch }}", "The template names the column 'nosuch', which notes does not have"),
        ("{{ title | upper }}", "names the column 'title | upper'"),
        ("{{ chunk }}", "name the columns too (a column of that name is {{ row.chunk }})"),
    ],
)
def test_wrong_templates(template, message):
    """A template that names no column, or one that is not there, is refused."""
    with pytest.raises(BadTemplate) as caught:
        make_recipe("notes", COLUMNS, (), template)
    assert message in str(caught.value)


def test_wrong_columns():
    """A column that is not there is named beside those that are; and one there must be."""
    with pytest.raises(UnknownColumn, match="notes has no column 'nosuch'; it has id, title"):
        make_recipe("notes", COLUMNS, ["nosuch"])
    with pytest.raises(UnknownColumn, match="Choose at least one column of notes to embed"):
        make_recipe("notes", COLUMNS, [])


def test_hashes():
    """Equal contents have equal hashes of 16 bytes; text and the same bytes have not."""
    assert content_hash("a") == content_hash("a") != content_hash("b")
    assert content_hash("a") != content_hash(b"a")
    assert [len(content_hash(value)) for value in ("", b"", "é\udc80", "x" * 100_000)] == [16] * 4
