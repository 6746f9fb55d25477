"""Throughput while a session holds an old snapshot."""
import time

from benchlib import (BASELINE_ONLY, QUICK, RUNS, env_number, fresh_table, headline, hot_percent, main, median,
                      met, ratio, rows_left, say, table, write_csv)
from sides import OldSnapshot, measure

ROWS = env_number("PGXC_BENCH_ROWS", 20000 if QUICK else 1000000)
AGE = env_number("PGXC_BENCH_SNAPSHOT_AGE", 0.0)


def body(conn):
    headline(conn, "Old snapshot", f"""
As in the throughput benchmark ({ROWS} rows, `max_duty => 1`, a fresh table for every measurement, autovacuum off for the
table on both sides), but a REPEATABLE READ transaction in the same database takes its snapshot {AGE:.0f} s before the work begins
and holds it until the work is over, verification included: no dead row can be removed.""")
    sides = ["one UPDATE"] if BASELINE_ONLY else ["pgxc", "one UPDATE"]
    results = {side: [] for side in sides}
    for run in range(RUNS):
        for side in sides:
            fresh_table(conn, ROWS)
            holder = OldSnapshot()
            time.sleep(AGE)
            say(f"run {run + 1} of {RUNS}: {side}")
            result = measure(conn, side, ROWS)
            holder.release()
            result.hot = hot_percent(conn, "t", ROWS)
            result.left = rows_left(conn, "t")
            results[side].append(result)
    header = ["side", "run", "s", "s incl. verification", "rows/s", "WAL B/row", "heap growth", "index growth",
              "HOT %", "rows left", "note"]
    rows = [(side, number, r.seconds, r.seconds_verified, round(r.rate), r.wal_per_row, r.heap_growth, r.index_growth,
             r.hot, r.left, r.note) for side, runs in results.items() for number, r in enumerate(runs, 1)]
    write_csv("old_snapshot", header, rows)
    table(header, rows)
    if not BASELINE_ONLY:
        rate = {side: median([r.rate for r in runs]) for side, runs in results.items()}
        verified = median([r.rate_verified for r in results["pgxc"]])
        value = ratio(rate["pgxc"], rate["one UPDATE"])
        table(["quantity (medians)", "measured", "reach", "met"], [
            ("rows/s, pgxc", round(rate["pgxc"]), "-", "-"),
            ("rows/s, one UPDATE", round(rate["one UPDATE"]), "-", "-"),
            ("pgxc ÷ one UPDATE", value, "≥ 0.9", met(value, 0.9, True)),
            ("the same, pgxc including its verification", ratio(verified, rate["one UPDATE"]), "-", "-")])


main(body)
