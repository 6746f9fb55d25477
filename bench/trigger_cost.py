"""What the dual-write trigger costs a row."""
import time

from benchlib import (QUICK, Conn, env_number, headline, main, make_template, median, met, ratio, say, table, write_csv)
from shapes import name, until_ready

ROWS = env_number("PGXC_BENCH_ROWS", 20000 if QUICK else 1000000)
RUNS = env_number("PGXC_BENCH_RUNS", 1 if QUICK else 5)

BOTH_WAYS = """
CREATE OR REPLACE FUNCTION both_ways() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.a IS NULL THEN
            NEW.a := NEW.b;
        ELSE
            NEW.b := NEW.a;
        END IF;
    ELSIF NEW.a IS DISTINCT FROM OLD.a THEN
        NEW.b := NEW.a;
    ELSIF NEW.b IS DISTINCT FROM OLD.b THEN
        NEW.a := NEW.b;
    ELSIF NEW.b IS NULL THEN
        NEW.b := NEW.a;
    END IF;
    RETURN NEW;
END $$
"""

ONE_WAY = """
CREATE OR REPLACE FUNCTION one_way() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.b := lower(NEW.a);
    ELSIF NEW.a IS DISTINCT FROM OLD.a OR NEW.b IS NULL THEN
        NEW.b := lower(NEW.a);
    END IF;
    RETURN NEW;
END $$
"""


class Case:
    """A migration, what it is compared with, and the work."""

    def __init__(self, name, a, column_type, expression, change, start, function):
        self.name = name
        self.a = a                      # where a comes from, in the template
        self.type = column_type
        self.expression = expression    # b, from a
        self.change = change            # a, from a, of the same width
        self.start = start              # a statement, but for the migration's name
        self.function = function        # what the PL/pgSQL trigger calls


CASES = [
    Case("rename", "a", "bigint", "a", "a + 1",
         "SELECT pgxc.start_rename('t', 'a', 'b', %s)", "both_ways"),
    Case("lower(a)", "upper(left(pad, 32))", "text", "lower(a)", "reverse(a)",
         "SELECT pgxc.start_transform('t', 'b', 'text', up => 'lower(a)', %s)", "one_way"),
]
SIDES = ["no trigger", "generated column", "PL/pgSQL trigger", "pgxc"]
INSERT, UPDATE, OTHER = "INSERT", "UPDATE of a", "UPDATE of another column"


def empty_table(conn, case, side):
    """b is the last column on every side, and no row has been there."""
    conn.query("DROP TABLE IF EXISTS t")
    conn.query(f"CREATE TABLE t (id bigint PRIMARY KEY, a {case.type}, customer integer, touched integer, created timestamptz, "
               "pad text) WITH (fillfactor = 100, autovacuum_enabled = off, toast.autovacuum_enabled = off)")
    if side == "pgxc":
        migration = int(conn.value(case.start % name()))
        until_ready(conn, migration)
        return migration
    if side == "generated column":
        conn.query(f"ALTER TABLE t ADD b {case.type} GENERATED ALWAYS AS ({case.expression}) STORED")
    else:
        conn.query(f"ALTER TABLE t ADD b {case.type}")
    if side == "PL/pgSQL trigger":
        conn.query(f'CREATE TRIGGER "~{case.function}" BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION {case.function}()')
    return None


def settle(conn):
    conn.query("VACUUM (ANALYZE) t")
    conn.query("CHECKPOINT")


def measure(conn, case, side, source):
    """Seconds of each piece of work."""
    migration = empty_table(conn, case, side)
    # Without a trigger the statement itself gives b, so that all rows have the same width.
    given = (", b", f", {case.expression}") if side == "no trigger" else ("", "")
    statements = {
        INSERT: f"INSERT INTO t (id, a, customer, touched, created, pad{given[0]}) SELECT *{given[1]} FROM {source}",
        UPDATE: f"UPDATE t SET a = {case.change}",
        OTHER: "UPDATE t SET touched = touched + 1",
    }
    worker = Conn()
    worker.query("SET max_parallel_workers_per_gather = 0")
    worker.query("SET synchronize_seqscans = off")
    result = {}
    conn.query("CHECKPOINT")
    for what, sql in statements.items():
        begin = time.monotonic()
        worker.query(sql)
        result[what] = time.monotonic() - begin
        settle(conn)
        if what == UPDATE and side != "no trigger":
            wrong = int(conn.value(f"SELECT count(*) FROM t WHERE b IS DISTINCT FROM {case.expression}"))
            if wrong:
                raise SystemExit(f"{side}: {wrong} rows differ")
    worker.close()
    if migration is not None:
        conn.query(f"SELECT pgxc.rollback({migration})")
    return result


def body(conn):
    headline(conn, "Cost of the dual-write trigger", f"""
{ROWS} rows of about 170 bytes and a primary key, fillfactor 100, autovacuum off; the table is filled by one INSERT ... SELECT
(measured), then `a` is updated in all rows by one statement, then another column (`touched`) in all rows by one. VACUUM, ANALYZE and CHECKPOINT before each.
b is the last column on every side and no row is written before the side is set up, so the table's layout is the same for all. The sides take turns, in a different order each time.

- no trigger: the table has b, and the INSERT gives its value, so rows have the same width; the UPDATE leaves it alone.
- generated column: b is GENERATED ALWAYS AS (...) STORED.
- PL/pgSQL trigger: BEFORE INSERT OR UPDATE FOR EACH ROW. For the rename in both directions by the same rules as ours; for `lower(a)` one way.
- pgxc: the migration is `ready`, its trigger works, no worker runs.
- An overhead is the time above that of the side without a trigger.""", RUNS)
    conn.query(BOTH_WAYS)
    conn.query(ONE_WAY)
    template = make_template(conn, ROWS)
    times = {}
    for case in CASES:
        source = f"(SELECT id, {case.a} AS a, customer, touched, created, pad FROM {template}) s"
        for run in range(RUNS):
            turn = run % len(SIDES)
            for side in SIDES[turn:] + SIDES[:turn]:
                say(f"{case.name}, run {run + 1} of {RUNS}: {side}")
                for what, seconds in measure(conn, case, side, source).items():
                    times.setdefault((case.name, what, side), []).append(seconds)

    rows = [(case, what, side, number, seconds, seconds / ROWS * 1e6)
            for (case, what, side), runs in times.items() for number, seconds in enumerate(runs, 1)]
    header = ["migration", "work", "side", "run", "s", "µs/row"]
    write_csv("trigger_cost", header, rows)
    print("### Every run")
    table(header[:3] + ["s, each run"], [
        (*key, ", ".join(f"{seconds:.2f}" for seconds in runs)) for key, runs in times.items()])
    medians = {key: median(runs) for key, runs in times.items()}
    print("### Medians")
    table(["migration", "work", "side", "s", "µs/row", "overhead, µs/row", "÷ no trigger"], [
        (*key, seconds, seconds / ROWS * 1e6, (seconds - medians[key[0], key[1], "no trigger"]) / ROWS * 1e6,
         ratio(seconds, medians[key[0], key[1], "no trigger"])) for key, seconds in medians.items()])
    report(medians)


def report(medians):
    def against(case, what, side):
        return ratio(medians[case, what, "pgxc"], medians[case, what, side])

    def overhead(case, what, side):
        """None if it drowns in the noise."""
        seconds = medians[case, what, side] - medians[case, what, "no trigger"]
        return seconds if seconds > 0 or side == "pgxc" else None

    def overheads(case, what):
        return ratio(max(overhead(case, what, "pgxc"), 0.0), overhead(case, what, "PL/pgSQL trigger"))

    rows = []

    def line(what, value, limit):
        rows.append((what, value, f"≤ {limit}" if limit else "-", met(value, limit, False) if limit else "-"))

    for what in (INSERT, UPDATE):
        line(f"rename, {what}: time ÷ generated column", against("rename", what, "generated column"), 1.15)
    for what in (INSERT, UPDATE):
        line(f"rename, {what}: overhead ÷ that of the PL/pgSQL trigger", overheads("rename", what), 0.4)
    line("rename, UPDATE of another column: time ÷ no trigger", against("rename", OTHER, "no trigger"), 1.03)
    line("lower(a), UPDATE of another column: time ÷ no trigger", against("lower(a)", OTHER, "no trigger"), 1.03)
    for what in (INSERT, UPDATE):
        line(f"lower(a), {what}: time ÷ generated column", against("lower(a)", what, "generated column"), 1.2)
    for what in (INSERT, UPDATE):
        line(f"lower(a), {what}: overhead ÷ that of the PL/pgSQL trigger", overheads("lower(a)", what), None)
    table(["quantity (medians)", "measured", "reach", "met"], rows)


main(body)
