"""Text from outside: nothing that is shown or stored has a character that cannot be seen, or markup of its own."""

import html
import io
import json
import re
import unicodedata
from contextlib import redirect_stderr, redirect_stdout

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.text import Text

from bench.records import files, schema
from bench.report import gate_tables, speedup_picture, tables, terminal
from pairbench.cli import running
from pairbench.error_text import describe_error
from pairbench.markdown import escaped, list_item, table_row
from pairbench.visible_text import INVISIBLE, one_line, visible, visible_data
from tests.helpers import timing_row
from tests.test_speedup_picture import all_rows, row, run_of, texts

NASTY = (
    "\x1b[31mred\x07\r\n\t|x|<b>&amp;\u202eright\u2066\u200b\ufeff\x85\u2028\ud800\U000e0001\u3164[a](http://b.c)`*_$"
)
OUTSIDE = st.one_of(st.text(st.characters(), max_size=30), st.sampled_from([NASTY, "\n", "\x1b", "a|b", "# x", "1. x"]))
"""Any text, surrogates included."""

FORBIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def unseen(text):
    """The characters of a text that cannot be seen, without the line breaks of the layout."""
    return [c for c in text if c != "\n" and (unicodedata.category(c) in FORBIDDEN or c in INVISIBLE)]


def shown(*renderables):
    out = io.StringIO()
    with redirect_stdout(out):
        terminal.show(*renderables)
    return out.getvalue()


@given(OUTSIDE)
@example(NASTY)
def test_visible_text_is_one_line_that_can_be_encoded_and_stays_as_it_is(text):
    result = visible(text)
    assert unseen(result) == []
    assert "\n" not in result
    result.encode()
    assert visible(result) == result
    assert one_line(text) == visible(" ".join(text.split()))


def test_ordinary_text_is_unchanged_and_escapes_are_those_of_python():
    assert visible("é µ ÷ ≥ → ● 漢字 😀 C:\\x") == "é µ ÷ ≥ → ● 漢字 😀 C:\\x"
    assert visible("\x1b\n\u202e\xa0\udcff\u3164") == r"\x1b\n\u202e\xa0\udcff\u3164"


@given(OUTSIDE, OUTSIDE)
def test_an_exception_is_described_in_visible_text(name, message):
    kind = type(name.replace("\0", "").encode("utf-8", "replace").decode(), (Exception,), {})
    assert unseen(describe_error(kind(message))) == []
    assert "\n" not in describe_error(kind(message))


@given(OUTSIDE, OUTSIDE)
@example(NASTY, NASTY)
def test_the_terminal_shows_one_line_for_each_row_and_each_sentence(name, reason):
    rows = [timing_row(), timing_row(backend=name, arm=name, ok=False, reason=reason)]
    plain = [timing_row(), timing_row(backend="b", arm="b", ok=False, reason="r")]
    for rendered in (tables.timings, tables.untimed):
        out = shown(*rendered(rows))
        assert unseen(out) == []
        assert out.count("\n") == shown(*rendered(plain)).count("\n")
    assert unseen(shown(reason, Text(reason, style="red"), tables.item(reason))) == []


@given(OUTSIDE)
@example(NASTY)
def test_messages_and_stages_are_visible(text):
    err = io.StringIO()
    with redirect_stderr(err):
        terminal.say(text)
        running._fail("mlpbench", text, 2)
        with terminal.progress() as progress:
            progress.stage(text)
    assert unseen(err.getvalue()) == []
    assert err.getvalue().count("\n") == 3


def parsed(text):
    return MarkdownIt("commonmark", {"linkify": False}).enable("table").enable("strikethrough").parse(text)


def inline_kinds(tokens):
    return {child.type for token in tokens if token.type == "inline" for child in token.children}


@given(st.lists(OUTSIDE, min_size=1, max_size=4))
@example([NASTY, "a\\|b", "\\", "~~x~~", "![p](q)", "<https://x.y>", "&lt;", "[a]: b"])
def test_a_markdown_table_keeps_its_columns_and_shows_the_text(cells):
    tokens = parsed("\n".join([table_row(["h"] * len(cells)), f"|{' --- |' * len(cells)}", table_row(cells)]))
    inlines = [token for token in tokens if token.type == "inline"]
    assert len(inlines) == 2 * len(cells)
    assert inline_kinds(tokens) <= {"text", "text_special"}
    for cell, token in zip(cells, inlines[len(cells) :], strict=True):
        assert "".join(child.content for child in token.children) == one_line(cell).strip()


@given(OUTSIDE)
@example("# x")
@example("10) x")
@example("- [x] y")
@example("---")
@example("===")
def test_a_markdown_item_is_one_paragraph_with_the_text(text):
    line = list_item(text)
    assert unseen(line) == []
    tokens = parsed(f"{line}x")
    kinds = [token.type for token in tokens if token.type != "inline"]
    assert kinds == [
        *("bullet_list_open", "list_item_open", "paragraph_open"),
        *("paragraph_close", "list_item_close", "bullet_list_close"),
    ]
    assert inline_kinds(tokens) <= {"text", "text_special"}
    assert "".join(child.content for child in tokens[3].children) == f"{one_line(text)}x"


@pytest.mark.parametrize("text", ["see http://x.y/z", "HTTPS://x.y", "www.x.y"])
def test_a_bare_address_is_no_link(text):
    source = escaped(text)
    assert not re.search(r"https?://|www\.", source, re.IGNORECASE)
    assert html.unescape(source).replace("\\", "") == text


def test_names_and_intervals_need_no_escape_in_markdown():
    assert escaped("numba_simd: 1.05 [1.00, 1.10], ÷ python_loops") == ("numba_simd: 1.05 [1.00, 1.10], ÷ python_loops")


@given(OUTSIDE)
@example(NASTY)
def test_a_document_can_be_written_and_holds_visible_text(text):
    rows = [
        schema.BackendRow(
            backend=text,
            origin="added",
            status="broken",
            libraries={text: text},
            dtypes=[text],
            description="",
            reason="",
        )
    ]
    written = files.dumps(schema.Listing(command="backends", machine={"cpu": text, "more": [text]}, rows=rows))
    assert unseen(written) == []
    written.encode()
    document = json.loads(written)
    assert document["machine"] == {"cpu": visible(text), "more": [visible(text)]}
    files.parse("listing.json", written.encode(), schema.Listing)


def test_other_data_is_stored_as_it_is():
    data = {"a": [1, 2.5, None, True, "b"], "c": {"d": []}}
    assert visible_data(data) == data


def test_a_picture_shows_visible_text_and_no_markup(tmp_path):
    name = "$x^2$\x1b[31m\u202e<b>&"
    rows = [*all_rows(), row("3-3-1", name, (2.0, 1.9, 2.1))]
    rows = [one.model_copy(update={"backend": name}) if one.arm == name else one for one in rows]
    path = speedup_picture.draw_speedups(run_of(rows), tmp_path)
    assert unseen(path.read_text()) == []
    assert visible(name) in texts(path)


def test_the_gates_markdown_shows_the_text_of_a_revision(monkeypatch):
    monkeypatch.setattr(gate_tables, "verdict_summary", lambda document: NASTY)
    document = type("Document", (), {"verdict": "PASS", "rows": [], "notes": [NASTY], "base": None})
    written = gate_tables.markdown(document)
    assert unseen(written) == []
    assert inline_kinds(parsed(written)) <= {"text", "text_special"}
