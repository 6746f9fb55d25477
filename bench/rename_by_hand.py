"""A whole rename, start to contracted, against the same steps by hand."""
import time

from benchlib import (QUICK, RUNS, BenchError, Conn, env_number, fresh_table, headline, main, median, met, ratio, say,
                      sizes, table, throttles, wal_position, write_csv)
from shapes import name, until_ready

ROWS = env_number("PGXC_BENCH_ROWS", 20000 if QUICK else 10000000)
MB = 1048576

BY_HAND = [
    ("add column", "ALTER TABLE t ADD COLUMN client integer"),
    ("trigger", """
CREATE OR REPLACE FUNCTION t_client() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.customer IS NULL THEN
            NEW.customer := NEW.client;
        ELSE
            NEW.client := NEW.customer;
        END IF;
    ELSIF NEW.customer IS DISTINCT FROM OLD.customer THEN
        NEW.client := NEW.customer;
    ELSIF NEW.client IS DISTINCT FROM OLD.client THEN
        NEW.customer := NEW.client;
    ELSIF NEW.client IS NULL THEN
        NEW.client := NEW.customer;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER "~t_client" BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION t_client()"""),
    ("update", "UPDATE t SET client = customer"),
    ("index", "CREATE INDEX CONCURRENTLY t_client ON t (client)"),
    ("drop", """
DROP TRIGGER "~t_client" ON t;
ALTER TABLE t DROP COLUMN customer;
ALTER INDEX t_client RENAME TO t_customer"""),
]


class Result:
    def __init__(self, side):
        self.side = side
        self.steps, self.note = [], ""
        self.before = self.after = self.seconds = self.wal = None

    added = property(lambda self: sum(self.after) - sum(self.before))
    heap_added = property(lambda self: self.after[0] - self.before[0])
    indexes_added = property(lambda self: self.after[1] - self.before[1])


def by_hand(conn, result):
    for what, sql in BY_HAND:
        begin = time.monotonic()
        conn.query(sql)
        result.steps.append((what, time.monotonic() - begin))


def pgxc(conn, result):
    begin = time.monotonic()
    migration = int(conn.value(f"SELECT pgxc.start_rename('t', 'customer', 'client', {name()}, max_duty => 1)"))
    started = time.monotonic()
    seen = until_ready(conn, migration)
    ready = time.monotonic()
    conn.query(f"SELECT pgxc.contract({migration})")
    result.steps.append(("start", started - begin))
    for (at, what), (until, _) in zip(seen, seen[1:]):
        result.steps.append((what, until - at))
    result.steps.append(("contract", time.monotonic() - ready))
    result.note = throttles(conn, migration)


SIDES = {"pgxc": pgxc, "by hand": by_hand}


def checksum(conn, column):
    return conn.one(f"SELECT count({column}), sum({column}) FROM t")


def measure(conn, side):
    fresh_table(conn, ROWS)
    expected = checksum(conn, "customer")
    result = Result(side)
    result.before = sizes(conn, "t")
    conn.query("CHECKPOINT")
    worker = Conn()
    wal, begin = wal_position(conn), time.monotonic()
    SIDES[side](worker, result)
    result.seconds = time.monotonic() - begin
    result.wal = wal_position(conn) - wal
    result.after = sizes(conn, "t")
    worker.close()
    if checksum(conn, "client") != expected:
        raise BenchError(f"{side}: the new column does not hold what the old one held")
    indexes = conn.value("SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass AND indisvalid")
    if indexes != "3":
        raise BenchError(f"{side}: {indexes} valid indexes")
    return result


def body(conn):
    headline(conn, "A whole rename", f"""
Column `customer` of a table of {ROWS} rows (as in the throughput benchmark: about 170 bytes a row, fillfactor 100, a primary key and two more indexes, one of them, in
random order, on `customer`) becomes `client`. From the first call until the old column is gone. Autovacuum is off for the table on both sides, no other session is at work,
every measurement has a fresh table, the sides alternate.

- pgxc: `start_rename(..., max_duty => 1)`, wait for `ready`, `contract`. The time includes the verification of every row. Its chunks commit asynchronously, as they always do.
- by hand: ADD COLUMN; a PL/pgSQL trigger that keeps both columns equal in both directions; one UPDATE of all rows; CREATE INDEX CONCURRENTLY; and in one transaction
  DROP TRIGGER, DROP COLUMN, ALTER INDEX RENAME. Each step begins when the one before is over. Nothing is verified. `synchronous_commit` at its default.
- Growth: bytes of heap and indexes (main fork) after, less those before.""")
    results = {side: [] for side in SIDES}
    for run in range(RUNS):
        for side in SIDES if run % 2 == 0 else reversed(SIDES):
            say(f"run {run + 1} of {RUNS}: {side}")
            results[side].append(measure(conn, side))
    header = ["side", "run", "s", "heap MB before", "heap MB after", "index MB before", "index MB after", "growth MB", "WAL MB", "steps, s", "note"]
    rows = [(side, number, r.seconds, r.before[0] / MB, r.after[0] / MB, r.before[1] / MB, r.after[1] / MB, r.added / MB, r.wal / MB,
             ", ".join(f"{what} {seconds:.2f}" for what, seconds in r.steps), r.note)
            for side, runs in results.items() for number, r in enumerate(runs, 1)]
    write_csv("rename_by_hand", header, rows)
    print("### Every run")
    table(header, rows)

    def compare(what):
        mine, hand = (median([getattr(r, what) for r in results[side]]) for side in ("pgxc", "by hand"))
        return ratio(mine, hand)

    print("### pgxc ÷ by hand (medians)")
    table(["quantity", "measured", "reach", "met"], [
        ("time", compare("seconds"), "≤ 0.8", met(compare("seconds"), 0.8, False)),
        ("growth of heap and indexes, bytes", compare("added"), "≤ 0.5", met(compare("added"), 0.5, False)),
        ("growth of the heap alone", compare("heap_added"), "-", "-"),
        ("growth of the indexes alone", compare("indexes_added"), "-", "-"),
        ("WAL", compare("wal"), "-", "-")])


main(body)
