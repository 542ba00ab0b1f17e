"""Which provider is asked: the client's order, with the healthy ones first and nobody left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event

from sample_app.catalogue import Provider
from sample_app.database import Database
from sample_app.policy_routing import WINDOW_MS, Health, health, reorder
from sample_app.providers.port import Reason, Refused
from tests.sample_app.story import SECOND

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sample_app.story import Story

FIRST, SECOND_PROVIDER = "replicate", "fal"
REFUSED = Refused(Reason.OVERLOADED)

HEALTH = [(0, 0, True), (4, 4, True), (5, 2, True), (5, 3, False), (6, 3, True), (100, 50, True), (100, 51, False)]


@pytest.mark.parametrize(("attempts", "trouble", "healthy"), HEALTH)
def test_the_breaker_has_stated_numbers(attempts: int, trouble: int, healthy: bool) -> None:
    assert Health(attempts, trouble).healthy is healthy


def test_reordering_is_stable_and_complete() -> None:
    order = (Provider.FAL, Provider.REPLICATE, Provider.OPENROUTER)
    bad, good = Health(10, 10), Health(10, 0)

    assert reorder(order, {Provider.FAL: bad, Provider.REPLICATE: good}) == (order[1], order[2], order[0])
    assert reorder(order, dict.fromkeys(order, bad)) == order


def test_what_the_order_or_the_customer_caused_is_not_held_against_the_provider(story: Story) -> None:
    story.service.port(FIRST).submits[:] = [Refused(Reason.CONTENT_POLICY)]
    for _ in range(7):
        story.start()

    assert [each[0] for each in story.states()] == [FIRST, SECOND_PROVIDER]


def test_a_provider_in_trouble_is_moved_back_and_not_left_out(story: Story) -> None:
    story.service.port(FIRST).submits[:] = [REFUSED]
    for _ in range(5):
        story.start()
    assert [each[0] for each in story.states()] == [FIRST, SECOND_PROVIDER]
    story.start()
    assert [each[0] for each in story.states()] == [SECOND_PROVIDER]
    story.service.port(SECOND_PROVIDER).submits[:] = [REFUSED]
    for _ in range(12):
        story.start()
    assert {each[0] for each in story.states()} == {FIRST, SECOND_PROVIDER}
    story.service.clock.now += 61 * SECOND
    story.start()
    assert story.states()[0][0] == FIRST


def test_the_clients_order_wins(story: Story) -> None:
    assert story.start(generation_provider_order=["fal", "replicate"])["provider"] == "fal"
    assert story.start(generation_provider_order=["fal"])["provider"] == "fal"


def test_health_reads_the_last_minute_and_not_the_whole_history(tmp_path: Path) -> None:
    database, sent = Database(f"sqlite:///{tmp_path}/data.sqlite3"), []
    with database.reading() as connection:
        event.listen(connection, "before_cursor_execute", lambda *given: sent.append(given[2:4]))
        health(connection, WINDOW_MS)
        ((statement, values),) = sent
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
    database.dispose()

    assert "SEARCH attempts USING INDEX idx_attempts_updated" in str(plan)
