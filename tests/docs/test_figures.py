from xml.etree import ElementTree as ET

import attrs
import pytest

from bench import chart, report
from bench.measure import Figure, quantity, ratio

SVG = "{http://www.w3.org/2000/svg}"


def test_the_page_and_the_chart_say_what_was_measured():
    """Nobody polishes a figure by hand: both are made from the data."""
    run = report.read()
    assert report.page(run) == report.PAGE.read_text("utf-8")
    assert chart.draw(report.figures_of(run)) == report.CHART.read_text("utf-8")
    contributing = report.TARGETS.read_text("utf-8")
    assert report.with_targets(contributing, run) == contributing


def test_the_chart_can_be_read_on_a_phone():
    """It is shown 360 wide there: its letters are 11 high then, and no text leaves it."""
    root = ET.fromstring(report.CHART.read_text("utf-8"))  # noqa: S314 - our own
    wide = float(root.attrib["width"])
    assert 15 * 360 / wide >= 11
    for text in root.iter(f"{SVG}text"):
        assert float(text.attrib["x"]) + 8.4 * len(text.text or "") <= wide


def test_the_data_hold_every_figure_whole():
    """What is read back is what was written."""
    run = report.read()
    assert run["figures"] == [attrs.asdict(figure) for figure in report.figures_of(run)]


def test_the_chart_can_be_heard_and_seen_in_the_dark():
    """It has a title, a description with all it draws, and colours of its own for a dark page."""
    figures = report.figures_of(report.read())
    root = ET.fromstring(report.CHART.read_text("utf-8"))  # noqa: S314 - our own
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert title.text
    assert description is not None
    assert description.text is not None
    for group in chart.groups(figures):
        assert all(value is None or value in description.text for value in group.values)
    assert "prefers-color-scheme: dark" in chart.draw(figures)


def test_a_ratio_is_taken_round_by_round():
    """A slow round is slow for both, so the rounds are divided before the median is taken."""
    figure = ratio("it", [1.0, 4.0, 9.0], [2.0, 4.0, 6.0], against="that", target=1.0, unit="s")
    expected = Figure(
        question="it",
        against="that",
        target=1.0,
        value=1.0,
        low=0.5,
        high=1.5,
        above="4.00 s",
        below="4.00 s",
    )
    assert expected == figure


@pytest.mark.parametrize(("seconds", "reached"), [(0.0010, True), (0.0011, False)])
def test_a_target_is_compared_in_its_own_unit(seconds, reached):
    """A second client may take 1 ms."""
    assert reached == quantity("it", [seconds], unit="ms", target=1.0).reached
