"""What a page draws of a run: nothing leaves its place."""

from hypothesis import given
from hypothesis import strategies as st

from algoprof.server.pages.shapes import bar
from algoprof.server.state.run_log import Run


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 3000))
def test_a_bar_never_leaves_its_rail(queue, load, run, timeout):
    pieces = bar(Run("", "1.0.0", "req-1", 0, "ok", "", queue, load, run, 0, timeout, "", ""))
    assert [piece.kind for piece in pieces] == ["queue", "load", "run"]
    assert all(piece.width >= 0 for piece in pieces)
    assert pieces[-1].left + pieces[-1].width <= 100.01
