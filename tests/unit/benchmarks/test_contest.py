"""What the table of the peers says of who leads."""

from dataclasses import replace

from tests.benchmarks.contest import Row, not_leading, table

OURS = Row("ours", "1", 40, 10, 0, 9, 400, 20)


def test_nothing_is_said_where_the_product_leads_or_is_level() -> None:
    assert not_leading([OURS, replace(OURS, name="slow", rate=6, cpu_ms=20, lost_after_grace=10)]) == []


def test_each_peer_that_is_ahead_is_named_with_what_it_is_ahead_in() -> None:
    fast = replace(OURS, name="fast", rate=50, cpu_ms=5, lost_after_grace=8)
    rate, cpu, after_grace = not_leading([replace(OURS, lost_restart_at_once=0), fast])
    assert (rate, cpu.endswith(": fast")) == ("ahead in rate: fast", True)
    assert after_grace.startswith("ahead in lost after the grace")
    assert after_grace.endswith(": fast")
    assert not_leading([replace(OURS, lost_restart_at_once=2), OURS]) == ["ahead in lost at once: ours"]


def test_the_table_has_a_row_for_each_and_says_of_how_many_grants() -> None:
    lines = table([OURS, replace(OURS, name="other")]).splitlines()
    assert [line.split()[0] for line in lines] == ["peers", "ours", "other"]
    assert "9 of 400" in lines[1]
    assert "9 of 40 " in table([replace(OURS, grants=40)]).replace("\n", " ")
