"""The ways to update a whole table that the benchmarks compare."""
import time

from benchlib import (STOPPED, BenchError, Conn, anonymous_memory, explain_stop, index_sizes,
                      progress, sizes, start, throttles, wal_position, where_is)

POLL = 0.02

KEYSET_LOOP = """
CREATE OR REPLACE PROCEDURE keyset_loop(batch integer) LANGUAGE plpgsql AS $$
DECLARE
    last bigint := 0;
    upper bigint;
BEGIN
    LOOP
        SELECT max(id) INTO upper
          FROM (SELECT id FROM t WHERE id > last ORDER BY id LIMIT batch) batch_ids;
        EXIT WHEN upper IS NULL;
        UPDATE t SET b = a WHERE id > last AND id <= upper;
        COMMIT;
        last := upper;
    END LOOP;
END $$
"""

CTE_BATCH = """
WITH batch AS (SELECT id FROM t WHERE id > %d ORDER BY id LIMIT %d FOR UPDATE),
     changed AS (UPDATE t SET b = a FROM batch WHERE t.id = batch.id RETURNING t.id)
SELECT max(id) FROM changed
"""


class Result:
    """One measured update of a whole table."""

    def __init__(self, side, rows):
        self.side, self.rows = side, rows
        self.seconds = self.seconds_verified = None
        self.wal = self.heap = self.indexes = None
        self.heap_before = self.indexes_before = None
        self.each_index_before = self.each_index = None
        self.hot = None
        self.chunks = None
        self.memory = []
        self.note = ""

    rate = property(lambda self: self.rows / self.seconds)
    rate_verified = property(lambda self: self.rows / self.seconds_verified if self.seconds_verified else None)
    wal_per_row = property(lambda self: self.wal / self.rows)
    heap_growth = property(lambda self: self.heap / self.heap_before)
    index_growth = property(lambda self: self.indexes / self.indexes_before)

    def index_growths(self):
        """Of each index: created (heap order), customer (random order), key."""
        return " / ".join(f"{after / before:.2f}" for before, after in zip(self.each_index_before, self.each_index))


def single_update(conn, _result):
    conn.query("UPDATE t SET b = a")


def plpgsql_loop(conn, _result):
    conn.query("CALL keyset_loop(1000)")


def cte_loop(conn, _result):
    """One statement and one commit a batch, sent by a client that keeps the
    last key, as migration tools outside the server do it."""
    last = "0"
    while last is not None:
        last = conn.value(CTE_BATCH % (int(last), 1000))


def backfill(conn, result):
    """From the call of start_backfill until the update step is over, and on
    until every row is verified."""
    begin = time.monotonic()
    migration = start(conn, "t", max_duty=1)
    next_look, passes, memory = 0.0, set(), []
    while True:
        phase, state, step = where_is(conn, migration)
        now = time.monotonic() - begin
        if result.seconds is None and (step != "update" or phase != "migrate"):
            result.seconds = now
            result.wal = wal_position(conn) - result.wal
            result.heap, result.indexes = sizes(conn, "t")
            result.each_index = index_sizes(conn, "t")
        if phase == "done":
            result.seconds_verified = now
            break
        if phase != "migrate" or state in STOPPED:
            raise BenchError(f"migration {migration} stopped: {explain_stop(conn, migration)}")
        if now >= next_look:
            next_look = now + 0.5
            for pid, passes_now, rows in conn.query(
                    f"SELECT pid, passes, rows_updated FROM pgxc.live_workers() WHERE migration_id = {migration}"):
                passes.add(passes_now)
                kilobytes = anonymous_memory(pid)
                if kilobytes is not None:
                    memory.append((now, int(pid), kilobytes, int(rows), step))
        time.sleep(POLL)
    result.memory = memory
    result.chunks = progress(conn, migration)[1]
    result.note = throttles(conn, migration)
    used = sorted(int(p) for p in passes if p and int(p) > 0)
    result.note = (f"passes {used}; " if used else "") + result.note


REBUILT = ", rebuilt index"

SIDES = {
    "pgxc": backfill,
    "one UPDATE": single_update,
    "PL/pgSQL loop": plpgsql_loop,
    "CTE loop": cte_loop,
    "PL/pgSQL loop, async": plpgsql_loop,
    "CTE loop, async": cte_loop,
}


def measure(conn, side, rows):
    """Update table t (fresh, see fresh_table) by the named side."""
    conn.query(KEYSET_LOOP)
    result = Result(side, rows)
    result.heap_before, result.indexes_before = sizes(conn, "t")
    result.each_index_before = index_sizes(conn, "t")
    worker = Conn()
    if side.endswith("async"):
        worker.query("SET synchronous_commit = off")
    result.wal = wal_position(conn)
    begin = time.monotonic()
    SIDES[side.removesuffix(REBUILT)](worker, result)
    if result.seconds is None:
        result.seconds = time.monotonic() - begin
        result.wal = wal_position(conn) - result.wal
        result.heap, result.indexes = sizes(conn, "t")
        result.each_index = index_sizes(conn, "t")
    worker.close()
    return result


class OldSnapshot:
    """A session that holds a snapshot and does nothing."""

    def __init__(self):
        self.conn = Conn(app="pgxc_bench_holder")
        self.conn.query("BEGIN ISOLATION LEVEL REPEATABLE READ")
        self.conn.query("SELECT count(*) FROM pg_class")
        if self.conn.value("SELECT backend_xmin IS NOT NULL FROM pg_stat_activity WHERE pid = pg_backend_pid()") != "t":
            raise BenchError("the old snapshot is not held")

    def release(self):
        self.conn.query("COMMIT")
        self.conn.close()


__all__ = ["OldSnapshot", "REBUILT", "Result", "measure"]
