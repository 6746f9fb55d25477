"""Failed and delayed statements of an application while a column is renamed."""
import time

from benchlib import QUICK, BenchError, env_number, headline, main, median, met, say, table, write_csv
from shapes import (Application, IdleInTransaction, InBackground, ServerLog, log_settings, name,
                    oldest_statement, until_ready)

ROWS = env_number("PGXC_BENCH_ROWS", 5000 if QUICK else 50000)
RUNS = env_number("PGXC_BENCH_RUNS", 1 if QUICK else 20)
IDLE_RUNS = min(RUNS, 5)
QUIET = 1.0             # seconds of load before and after what is looked at
AFTER = 0.5             # a statement that waited ends after what it waited for
HOLD = 2.0              # seconds that somebody stays idle in transaction
MARGIN = 50             # ms: to wake up, 8 clients on few cores

SET = f"\\set id random(1, {ROWS})\n\\set v random(1, 1000000000)\n"
# Statements that name neither column.
EITHER = [(SET + sql + ";\n", 1) for sql in (
    "UPDATE t SET touched = touched + 1 WHERE id = :id",
    "INSERT INTO t (pad) VALUES ('given neither')",
    "SELECT * FROM t WHERE id = :id")]


def version(column):
    """The application's code, which knows the column by this name."""
    return [(SET + sql + ";\n", weight) for sql, weight in (
        (f"INSERT INTO t ({column}, pad) VALUES (:v, 'given {column}')", 2),
        (f"UPDATE t SET {column} = :v WHERE id = :id", 4),
        (f"UPDATE t SET {column} = {column} + 1, touched = touched + 1 WHERE id = :id", 2),
        (f"SELECT {column} FROM t WHERE id = :id", 1))]


OLD, NEW = version("a"), version("b")


def fresh_table(conn):
    conn.query("DROP TABLE IF EXISTS t")
    conn.query("CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a bigint NOT NULL DEFAULT 0, "
               "touched integer NOT NULL DEFAULT 0, pad text)")
    conn.query(f"INSERT INTO t (a, pad) SELECT (g * 7919) % 1000003, repeat('x', 80) FROM generate_series(1, {ROWS}) g")
    conn.query("CREATE INDEX t_a ON t (a)")
    conn.query("VACUUM (ANALYZE) t")
    conn.query("CHECKPOINT")


def step(sql, idle):
    """Run sql while, if idle, somebody who has read t is idle in transaction
    for HOLD seconds; (begin, end, result)."""
    holder = IdleInTransaction("t") if idle else None
    statement = InBackground(sql)
    if holder:
        time.sleep(HOLD)
        holder.release()
    value = statement.result()
    return statement.begin, statement.end, value


def half_way(conn, migration):
    """Wait until some of the rows, or all of them, are filled."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and conn.value(
            f"SELECT state = 'ready' OR (SELECT count(*) FROM t WHERE b IS NULL) < {ROWS} / 2 "
            f"FROM pgxc.migration WHERE id = {migration}") != "t":
        time.sleep(0.05)


def ends_well(conn, way):
    """Whether the column that remains is whole."""
    gone, there = ("a", "b") if way == "contract" else ("b", "a")
    found = {row[0]: row for row in conn.query(
        "SELECT attname, attnotnull, pg_get_expr(adbin, adrelid), (SELECT count(*) FROM pg_index WHERE indrelid = attrelid AND indisvalid "
        "AND indkey::text = attnum::text) FROM pg_attribute LEFT JOIN pg_attrdef ON (adrelid, adnum) = (attrelid, attnum) "
        "WHERE attrelid = 't'::regclass AND attname IN ('a', 'b')")}
    if gone in found or found.get(there) is None or found[there][1] != "t" or found[there][3] != "1":
        raise BenchError(f"after {way} the table is not as it should be: {found}")


def measure(conn, way, idle, run):
    """One migration under load.  At every moment 8 clients are at work: 2 know
    neither column, 6 are rolled over from old to new code (and, for a
    rollback, back again) in two halves."""
    fresh_table(conn)
    app, log = Application(), ServerLog()
    app.begin("either", EITHER, 2)
    app.begin("old 1", OLD, 3)
    app.begin("old 2", OLD, 3)
    time.sleep(QUIET)
    calm = time.time()
    time.sleep(QUIET)
    start_begin, start_end, migration = step(f"SELECT pgxc.start_rename('t', 'a', 'b', {name()})", idle)
    time.sleep(AFTER)
    # Roll half of the application over; both versions are at work from here on.
    app.begin("new 1", NEW, 3)
    app.end("old 2")
    if way == "contract" or run % 2 == 0:
        until_ready(conn, migration, 1200)
    else:
        half_way(conn, migration)
    if way == "contract":
        app.begin("new 2", NEW, 3)
        app.end("old 1")
    else:
        app.begin("old 3", OLD, 3)
        app.end("new 1")
    time.sleep(QUIET)
    end_begin, end_end, _ = step(f"SELECT pgxc.{way}({migration})", idle)
    time.sleep(QUIET)
    hanging = oldest_statement(conn)
    app.end_all()
    ends_well(conn, way)
    errors = log.errors()
    result = {
        "way": way, "idle": idle, "run": run, "statements": len(app.transactions), "failed": max(len(errors), app.aborted),
        "errors": "; ".join(sorted(set(errors)))[:200], "seconds": end_end - start_begin, "hanging": hanging,
        "calm": app.window(calm, start_begin)[2],
    }
    for part, begin, end in (("start", start_begin, start_end + AFTER), ("end", end_begin, end_end + AFTER)):
        result[part + " s"] = end - AFTER - begin
        result[part + " n"], result[part + " p99"], result[part + " max"] = app.window(begin, end)
        waits = log.table_waits(begin, end)
        result[part + " waits"], result[part + " wait"] = len(waits), max(waits, default=0.0)
    return result


COLUMNS = [
    ("scenario", lambda r: r["way"] + (", idle in transaction" if r["idle"] else "")), ("run", lambda r: r["run"]),
    ("s", lambda r: r["seconds"]), ("statements", lambda r: r["statements"]), ("failed", lambda r: r["failed"]),
    ("longest before, ms", lambda r: r["calm"])]
for _name, _key in (("start", "start"), ("contract or rollback", "end")):
    COLUMNS += [
        (f"{_name}: s", lambda r, k=_key: r[k + " s"]), ("statements", lambda r, k=_key: r[k + " n"]),
        ("p99 ms", lambda r, k=_key: r[k + " p99"]), ("longest ms", lambda r, k=_key: r[k + " max"]),
        ("waits for the table > 20 ms", lambda r, k=_key: r[k + " waits"]), ("longest ms", lambda r, k=_key: r[k + " wait"])]
COLUMNS += [("running at the end, ms", lambda r: r["hanging"]), ("errors", lambda r: r["errors"] or "-")]


def body(conn):
    log_settings(conn)
    timeout = float(conn.value("SELECT setting FROM pg_settings WHERE name = 'pgxc.ddl_lock_timeout'"))
    headline(conn, "Failed statements", f"""
A column that is NOT NULL, has a default and an index is renamed (`start_rename`, pgxc at its defaults) in a table of {ROWS} rows, a new one for each run, while an application
(pgbench, `-M extended`, 8 clients at every moment, without a limit to their rate; one statement is one transaction) inserts, updates and reads. Two clients send statements that name
neither column, from before the start until after the end. Six are rolled over in two halves: old code (names `a`) before and during start; half old, half new code (names
`b`) from the moment start has returned; only new code during contract. For a rollback the half with new code goes back first, as it must. So no client names a column that its version of
the table does not have: every error is one of ours. Rollback comes when the migration is ready (even runs) or half-way through the backfill (odd ones).

- Failed statements are counted from the server's log (every ERROR of the application, whatever it is) and from pgbench (clients that gave up); the larger number counts.
- Longest statement: pgbench's log, of the statements that ended between the call and {AFTER} s after its return. "Longest before": the same in the {QUIET:.0f} s before the start. The machine's
  own stalls are in both.
- Waits for the table: the server's log (`log_lock_waits`, with `deadlock_timeout = 20ms` in the application's sessions alone): how long a statement waited for a lock on a table, exactly, if it was more than 20 ms.
- Idle in transaction: somebody who has read the table stays idle in transaction for {HOLD:.0f} s from just before start, and again from just before contract. pgxc.ddl_lock_timeout is {timeout:.0f} ms.""", RUNS)
    plan = [(way, False, run) for run in range(1, RUNS + 1) for way in ("contract", "rollback")]
    plan += [("contract", True, run) for run in range(1, IDLE_RUNS + 1)]
    results = []
    for way, idle, run in plan:
        say(f"{way}{', somebody idle in transaction' if idle else ''}, run {run}")
        results.append(measure(conn, way, idle, run))
    header = [column for column, _ in COLUMNS]
    rows = [[get(r) for _, get in COLUMNS] for r in results]
    write_csv("no_failures", header, rows)
    print("### Every run")
    table(header, rows)
    report(results, timeout)


def report(results, timeout):
    rows = []
    for way in ("contract", "rollback"):
        chosen = [r for r in results if r["way"] == way and not r["idle"]]
        failed = sum(r["failed"] for r in chosen)
        rows.append((f"failed statements through start, migrate, {way}: {len(chosen)} runs, {sum(r['statements'] for r in chosen)} statements",
                     failed, "0", met(failed, 0, False)))
    calm = [r for r in results if not r["idle"]]
    for what, chosen, key in (("start", calm, "start"), ("contract", [r for r in calm if r["way"] == "contract"], "end"),
                              ("rollback", [r for r in calm if r["way"] == "rollback"], "end")):
        worst = max(r[key + " max"] for r in chosen)
        limit = what != "rollback"
        rows.append((f"longest statement during {what}, ms, all runs", worst, "≤ 200" if limit else "-", met(worst, 200, False) if limit else "-"))
        rows.append(("the same, median of the runs", median([r[key + " max"] for r in chosen]), "-", "-"))
        rows.append((f"the call of {what} itself, ms, median", median([r[key + " s"] for r in chosen]) * 1000, "-", "-"))
    rows.append(("longest statement in a second without any of this, ms, all runs", max(r["calm"] for r in calm), "-", "-"))
    idle = [r for r in results if r["idle"]]
    failed = sum(r["failed"] for r in idle)
    rows.append((f"failed statements, somebody idle in transaction, {len(idle)} runs", failed, "0", met(failed, 0, False)))
    for what, key in (("start", "start"), ("contract", "end")):
        worst = max(r[key + " wait"] for r in idle)
        rows.append((f"idle in transaction: longest wait for the table during {what}, ms", worst, f"≤ {timeout:.0f} + {MARGIN}",
                     met(worst, timeout + MARGIN, False)))
        rows.append(("longest statement, ms", max(r[key + " max"] for r in idle), "-", "-"))
    table(["quantity", "measured", "reach", "met"], rows)


main(body)
