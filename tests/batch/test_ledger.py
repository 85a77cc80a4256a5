"""Who may try which row, and when a batch has ended."""

import asyncio

from hicache_batch.ledger import Ledger
from hicache_batch.rows import Row

ROWS = [Row(index, {}) for index in range(3)]


def in_loop(test):
    return lambda: asyncio.run(asyncio.wait_for(test(), 10))


@in_loop
async def test_every_row_is_taken_once_in_order():
    ledger = Ledger(ROWS, tries=3)
    taken = [(await ledger.take(worker)).row.index for worker in ("a", "b", "a")]
    assert taken == [0, 1, 2]
    for _ in taken:
        assert not ledger.ended.is_set()
        await ledger.done()
    assert ledger.ended.is_set()
    assert await ledger.take("a") is None


@in_loop
async def test_nothing_to_do_has_ended():
    assert Ledger([], tries=3).ended.is_set()


@in_loop
async def test_a_failed_row_waits_for_another_worker():
    ledger = Ledger(ROWS[:2], tries=3)
    attempt, _ = await ledger.take("a"), await ledger.take("b")
    assert not await ledger.failed(attempt, "a", "why")
    waiting = asyncio.ensure_future(ledger.take("a"))
    await asyncio.sleep(0)
    assert not waiting.done()
    await ledger.done()
    assert (await ledger.take("b")) is attempt
    await ledger.done()
    assert await waiting is None


@in_loop
async def test_a_worker_that_never_serves_is_not_waited_for():
    ledger = Ledger(ROWS[:1], tries=2)
    attempt = await ledger.take("a")
    await ledger.failed(attempt, "a", "why")
    assert await ledger.take("a") is attempt


@in_loop
async def test_without_another_worker_the_same_one_tries_again():
    ledger = Ledger(ROWS[:2], tries=3)
    attempt, _ = await ledger.take("a"), await ledger.take("b")
    await ledger.failed(attempt, "a", "why")
    waiting = asyncio.ensure_future(ledger.take("a"))
    await asyncio.sleep(0)
    assert not waiting.done()
    await ledger.retire("b")
    assert await waiting is attempt


@in_loop
async def test_a_row_is_given_up_after_its_tries():
    ledger = Ledger(ROWS[:1], tries=2)
    assert not await ledger.failed(await ledger.take("a"), "a", "first")
    attempt = await ledger.take("a")
    assert await ledger.failed(attempt, "a", "second")
    assert (attempt.tries, attempt.why) == (2, "second")
    assert ledger.ended.is_set()


@in_loop
async def test_the_batch_goes_on_while_a_row_runs_that_may_come_back():
    ledger = Ledger(ROWS[:1], tries=2)
    attempt = await ledger.take("a")
    idle = asyncio.ensure_future(ledger.take("b"))
    await asyncio.sleep(0)
    assert not idle.done()
    await ledger.failed(attempt, "a", "lost")
    assert await idle is attempt


@in_loop
async def test_rows_that_nobody_will_try_are_left():
    ledger = Ledger(ROWS, tries=2)
    await ledger.take("a")
    await ledger.retire("a")
    assert [attempt.row.index for attempt in ledger.left()] == [1, 2]
