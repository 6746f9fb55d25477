"""How long pause, resume and cancel take until they stand."""
import time

from benchlib import (QUICK, STOPPED, BenchError, Conn, PgError, env_number, explain_stop, fresh_table, headline, main,
                      met, num, percentile, progress, say, seeded, start, table, where_is, write_csv)

ROWS = env_number("PGXC_BENCH_ROWS", 100000 if QUICK else 2000000)
CALLS = env_number("PGXC_BENCH_CALLS", 5 if QUICK else 100)
CANCELS = env_number("PGXC_BENCH_CANCELS", 2 if QUICK else 20)

# A chunk writes: its process holds ROW EXCLUSIVE on the table.
CHUNK_RUNS = ("SELECT count(*) FROM pg_locks l JOIN pgxc.live_workers() w USING (pid) "
              "WHERE l.relation = 't'::regclass AND l.mode = 'RowExclusiveLock' AND w.migration_id = %d")


class Backfills:
    """One backfill after the other on the same table, each with work in every row."""

    def __init__(self, conn):
        self.conn, self.count, self.id = conn, 0, None

    def begin(self):
        self.count += 1
        self.id = start(self.conn, "t", f"b = a + {self.count}")
        self.wait_for_chunk(0)

    def updating(self):
        phase, state, step = where_is(self.conn, self.id)
        if phase == "migrate" and state in STOPPED:
            raise BenchError(f"migration {self.id} stopped: {explain_stop(self.conn, self.id)}")
        return phase == "migrate" and step == "update"

    def wait_for_chunk(self, chunks):
        """Seconds until there are more chunks than so many; None if it finished."""
        begin = time.monotonic()
        while progress(self.conn, self.id)[1] <= chunks:
            if not self.updating():
                return None
            if time.monotonic() - begin > 60:
                raise BenchError("no chunk within 60 s")
            time.sleep(0.005)
        return time.monotonic() - begin

    def make_sure(self):
        """There is one in its update step, at work."""
        if self.id is None or not self.updating():
            if self.id is not None:
                while where_is(self.conn, self.id)[0] == "migrate":
                    self.updating()
                    time.sleep(0.05)
            self.begin()


def stand(conn, watcher, migration, verb):
    """Milliseconds until the call returned, and until no chunk ran any more;
    and whether anything was written after the call had returned."""
    begin = time.monotonic()
    conn.query(f"SELECT pgxc.{verb}({migration})")
    returned = (time.monotonic() - begin) * 1000
    chunks = progress(watcher, migration)[1]
    looks = 0
    while int(watcher.value(CHUNK_RUNS % migration)) > 0:
        looks += 1
        if time.monotonic() - begin > 30:
            raise BenchError(f"a chunk still runs 30 s after {verb}")
        time.sleep(0.001)
    stands = (time.monotonic() - begin) * 1000 if looks else returned
    time.sleep(0.05)
    return returned, stands, progress(watcher, migration)[1] > chunks


def pauses(conn, watcher, random):
    backfills, rows = Backfills(conn), []
    missed = 0
    while len(rows) < CALLS:
        backfills.make_sure()
        time.sleep(random.uniform(0.0, 0.5))
        before = progress(conn, backfills.id)[1]
        try:
            returned, stands, late = stand(conn, watcher, backfills.id, "pause")
        except PgError as error:
            if error.sqlstate != "55000":
                raise
            missed += 1
            continue
        begin = time.monotonic()
        chunks = progress(conn, backfills.id)[1]
        conn.query(f"SELECT pgxc.resume({backfills.id})")
        resumed = (time.monotonic() - begin) * 1000
        again = backfills.wait_for_chunk(chunks)
        rows.append((len(rows) + 1, before, returned, stands, late, resumed, again * 1000 if again is not None else None))
    if backfills.updating():
        conn.query(f"SELECT pgxc.cancel({backfills.id})")
    return rows, missed


def cancels(conn, watcher, random):
    backfills, rows = Backfills(conn), []
    backfills.count = 1000
    missed = 0
    while len(rows) < CANCELS:
        backfills.begin()
        time.sleep(random.uniform(0.0, 0.5))
        try:
            returned, stands, late = stand(conn, watcher, backfills.id, "cancel")
        except PgError as error:
            if error.sqlstate != "55000":
                raise
            missed += 1
            continue
        rows.append((len(rows) + 1, returned, stands, late))
    return rows, missed


def body(conn):
    headline(conn, "Pause and cancel", f"""
{CALLS} calls of `pgxc.pause` and `pgxc.resume`, and {CANCELS} of `pgxc.cancel`, each up to 0.5 s (at random) after a chunk was seen to be committed, on a
backfill of {ROWS} rows at default settings without other load. "Stands" is the moment from which no process of the migration holds a
row-writing lock on the table: when the call returns, or later if a chunk still ran then. One table for all calls; when a
backfill is over, the next one assigns other values.""")
    random = seeded()
    watcher = Conn(app="pgxc_bench_sampler")
    fresh_table(conn, ROWS)
    say("pause and resume")
    pause_rows, pause_missed = pauses(conn, watcher, random)
    say("cancel")
    cancel_rows, cancel_missed = cancels(conn, watcher, random)
    write_csv("pause_latency", ["call", "chunks before", "pause returned ms", "stands ms", "chunk after return", "resume returned ms",
                                "ms to first chunk"], pause_rows)
    write_csv("pause_latency_cancel", ["call", "cancel returned ms", "stands ms", "chunk after return"], cancel_rows)

    def line(what, values, limit=None):
        values = sorted(value for value in values if value is not None)
        p99 = percentile(values, 99)
        return (what, len(values), percentile(values, 50), percentile(values, 95), p99, values[-1] if values else None,
                f"p99 ≤ {limit}" if limit else "-", met(p99, limit, False) if limit else "-")

    table(["quantity, ms", "n", "p50", "p95", "p99", "max", "reach", "met"], [
        line("pause returns", [r[2] for r in pause_rows]),
        line("pause stands", [r[3] for r in pause_rows], 200),
        line("resume returns", [r[5] for r in pause_rows]),
        line("from resume to the next chunk", [r[6] for r in pause_rows]),
        line("cancel returns", [r[1] for r in cancel_rows]),
        line("cancel stands", [r[2] for r in cancel_rows], 200)])
    late = sum(bool(r[4]) for r in pause_rows) + sum(bool(r[3]) for r in cancel_rows)
    print(f"A chunk committed after the call had returned: {num(late)} times. "
          f"Calls that came too late (the backfill was over): {pause_missed} pauses, {cancel_missed} cancels.\n")


main(body)
