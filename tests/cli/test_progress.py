"""Progress on a terminal and elsewhere."""

import re
import signal

from datasette_embeddings.cli.progress import one_line

TABLE = ("notes", "body", "-m", "held-by-file")


def test_a_terminal_gets_a_bar(terminal, many, hold):
    """Rows, a bar, the rate and the time left, on one line."""
    shown = terminal("table", many, *TABLE, env=hold.env)
    hold.wait_for_call()
    shown.process.send_signal(signal.SIGINT)  # so that it ends with one batch, and a bar that is not full
    shown.wait_for("Stopping after the batch in flight")
    hold.release()
    assert shown.wait() == 130
    assert re.search(r"notes  \[##+-+\]   10%  32 of 300 rows, [\d,.]+ rows/s, [\d.]+ (s|min) ", shown.output)
    assert shown.output.endswith("notes is paused after 32 of 300 rows; the same command goes on where it stopped\r\n")


def test_a_narrow_terminal(terminal, many, hold):
    """The line never wraps, whatever that takes."""
    hold.release()
    shown = terminal("table", many, *TABLE, "--collection", "a rather long name", env={**hold.env, "COLUMNS": "50"})
    assert shown.wait() == 0
    (drawn,) = re.findall(r"\r\x1b\[\?25l([^\r]*)\x1b\[\?25h", shown.output)
    assert "300 of 300 rows" in drawn
    assert len(drawn.rstrip()) < 50


def test_a_pipe_gets_no_bar(embed, many, plugins_dir):
    """Nothing of it where there is no terminal: one line before, one after."""
    result = embed("table", many, *TABLE, "--plugins-dir", plugins_dir)
    assert result.stderr == "notes: embedding by held-by-file\n"
    assert result.stdout.count("\n") == 1


def test_a_server_that_is_busy(start, many, read, tmp_path):
    """A line says what is waited for, `status` says it too, and once the server answers the job goes on by itself."""
    busy = tmp_path / "busy"
    busy.touch()
    command = start("table", many, "notes", "body", "-m", "busy", env={"FAKE_MODELS_BUSY": str(busy)})
    command.wait_for_output("notes: Waiting for the model's server: The fake server is busy; next attempt at ")
    shown = start("status", many).wait()
    assert "job 1 running: 0 of 300 rows: Waiting for the model's server: The fake server is busy; next" in shown
    busy.unlink()
    assert "300 embedded" in command.wait()
    assert read(many, "select status, reason from _embed_jobs") == [("finished", None)]


def test_control_characters_are_not_shown():
    """What came out of a database cannot command the terminal."""
    assert one_line("a\x1b[2J\nb\u202eé 😀") == "a [2J b é 😀"
