from scalebed.report.figures.style import MAX_COLUMNS, Style


def test_panels_beyond_a_row_are_as_wide_as_those_of_a_full_row():
    style = Style()
    assert style.panel(3 * MAX_COLUMNS) == style.panel(MAX_COLUMNS)
    assert style.panel(MAX_COLUMNS)["width"] < style.panel(1)["width"]
