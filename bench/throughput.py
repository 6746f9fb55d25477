"""Rows per second, growth, WAL, HOT and memory of a whole-table backfill."""
from benchlib import (BASELINE_ONLY, QUICK, RUNS, env_list, fresh_table, headline, hot_percent, main, median,
                      met, ratio, rows_left, say, table, write_csv)
from sides import REBUILT, measure

SIZES = env_list("PGXC_BENCH_ROWS", [20000, 100000] if QUICK else [1000000, 10000000])
LOOPS = ["PL/pgSQL loop", "CTE loop", "PL/pgSQL loop, async", "CTE loop, async"]
MB = 1048576


def one_size(conn, rows, sides):
    results = {side: [] for side in sides}
    for run in range(RUNS):
        for side in sides:
            fresh_table(conn, rows, rebuilt=side.endswith(REBUILT))
            say(f"{rows} rows, run {run + 1} of {RUNS}: {side}")
            result = measure(conn, side, rows)
            result.hot = hot_percent(conn, "t", rows)
            result.left = rows_left(conn, "t")
            results[side].append(result)
    return results


def raw_table(everything):
    rows = []
    for size, results in everything.items():
        for side, runs in results.items():
            for number, r in enumerate(runs, 1):
                rows.append((size, side, number, r.seconds, r.seconds_verified, round(r.rate),
                             r.wal_per_row, r.heap_before / MB, r.heap / MB, r.heap_growth,
                             r.indexes_before / MB, r.indexes / MB, r.index_growth, r.index_growths(), r.hot, r.left, r.chunks, r.note))
    header = ["rows", "side", "run", "s", "s incl. verification", "rows/s", "WAL B/row", "heap MB before",
              "heap MB after", "heap growth", "index MB before", "index MB after", "index growth",
              "of created / customer / id", "HOT %", "rows left", "chunks", "note"]
    write_csv("throughput", header, rows)
    print("### Every run")
    table(header, rows)


def medians(runs):
    return {what: median([getattr(r, what) for r in runs]) for what in (
        "seconds", "rate", "rate_verified", "wal_per_row", "heap_growth", "index_growth", "hot")}


def summary(everything):
    print("### Medians")
    rows = []
    for size, results in everything.items():
        for side, runs in results.items():
            m = medians(runs)
            rows.append((size, side, round(m["rate"]), round(m["rate_verified"]) if m["rate_verified"] else None,
                         m["wal_per_row"], m["heap_growth"], m["index_growth"], m["hot"]))
    table(["rows", "side", "rows/s", "rows/s incl. verification", "WAL B/row", "heap growth", "index growth",
           "HOT %"], rows)


def targets(everything):
    print("### pgxc against the others (medians)")
    rows = []
    for size, results in everything.items():
        mine, update = medians(results["pgxc"]), medians(results["one UPDATE"])

        def line(what, value, limit, at_least, size=size):
            rows.append((what, size, value, ("≥ " if at_least else "≤ ") + str(limit), met(value, limit, at_least)))

        line("rows/s ÷ one UPDATE", ratio(mine["rate"], update["rate"]), 1.3, True)
        rows.append(("the same, pgxc including its verification", size,
                     ratio(mine["rate_verified"], update["rate"]), "-", "-"))
        line("heap growth", mine["heap_growth"], 1.25, False)
        rows.append(("heap growth, one UPDATE", size, update["heap_growth"], "-", "-"))
        line("index growth", mine["index_growth"], 1.05, False)
        rows.append(("index growth, one UPDATE", size, update["index_growth"], "-", "-"))
        line("WAL per row ÷ one UPDATE", ratio(mine["wal_per_row"], update["wal_per_row"]), 0.65, False)
        for side in ("pgxc", "one UPDATE"):
            if side + REBUILT in results:
                rows.append((f"index growth, {side}{REBUILT}", size, medians(results[side + REBUILT])["index_growth"], "-", "-"))
        if "pgxc" + REBUILT in results:
            rows.append(("rows/s ÷ one UPDATE, both with a rebuilt index", size,
                         ratio(medians(results["pgxc" + REBUILT])["rate"], medians(results["one UPDATE" + REBUILT])["rate"]), "-", "-"))
        for side in LOOPS:
            if side in results:
                other = medians(results[side])["rate"]
                if side.endswith("async"):
                    rows.append((f"rows/s ÷ {side}", size, ratio(mine["rate"], other), "-", "-"))
                else:
                    line(f"rows/s ÷ {side}", ratio(mine["rate"], other), 1.5, True)
    if len(everything) > 1:
        first, last = min(everything), max(everything)

        def growth(side):
            cost = {size: medians(everything[size][side])["seconds"] / size for size in (first, last)}
            return ratio(cost[last], cost[first])

        value = growth("pgxc")
        rows.append((f"time per row ÷ that of {first} rows", last, value, "≤ 1.1", met(value, 1.1, False)))
        rows.append(("the same, one UPDATE", last, growth("one UPDATE"), "-", "-"))
    table(["quantity", "rows", "measured", "reach", "met"], rows)


def memory(everything):
    size = max(everything)
    rows, raw = [], []
    for number, r in enumerate(everything[size]["pgxc"], 1):
        raw += [(size, number, *sample) for sample in r.memory]
        kilobytes = [sample[2] for sample in r.memory]
        if not kilobytes:
            continue
        # The first second is start-up: caches fill, plans are made.
        warm = [s[2] for s in r.memory if s[0] >= min(1.0, r.seconds / 4)] or kilobytes
        rows.append((number, len(set(s[1] for s in r.memory)), kilobytes[0], warm[0], warm[len(warm) // 2], kilobytes[-1],
                     max(kilobytes), ratio(kilobytes[-1], warm[0])))
    write_csv("throughput_memory", ["rows", "run", "s", "pid", "RssAnon kB", "rows_updated", "step"], raw)
    print(f"### Memory of the worker over {size} rows (RssAnon of its process, kB)")
    table(["run", "processes", "first look", "after 1 s", "half-way", "last look", "largest", "last ÷ after 1 s"], rows)
    worst = max((row[-1] for row in rows if row[-1] is not None), default=None)
    table(["quantity", "measured", "reach", "met"], [
        ("memory at the end ÷ after 1 s, worst run", worst, "no growth (≤ 1.05)", met(worst, 1.05, False))])


def body(conn):
    headline(conn, "Throughput", """
A whole table is updated (`SET b = a`; b is 8 bytes, empty before, not indexed): about 170 bytes a row, fillfactor 100,
a primary key and two more indexes (`created`, in the heap's order; `customer`, in random order), autovacuum off for the table on every side. Every measurement has a table of its own,
just loaded, vacuumed, analysed and checkpointed. The sides alternate.

- pgxc: `start_backfill(..., max_duty => 1)`, default passes; from the call until the update step is over (verification
  reported apart). Its chunks commit asynchronously, as it always does.
- one UPDATE: one statement, `synchronous_commit` at its default.
- PL/pgSQL loop: a procedure, keyset ranges of 1000 rows, COMMIT after each. CTE loop: a client sends for each 1000 rows
  one statement that locks them with FOR UPDATE and updates them. Both with `synchronous_commit` at its default, and
  again with it off ("async"), which is more than such tools do.
- "rebuilt index": the index on `customer` was just built by CREATE INDEX and is 90 % full. Otherwise it has grown by inserts, as an
  index in use has, and is about 70 % full; what a few new entries do to it differs a lot. The other two are just built always.
- Growth is size after ÷ before (main fork); WAL is the difference of `pg_current_wal_insert_lsn()`, full-page images included.""")
    everything = {}
    for number, rows in enumerate(SIZES):
        sides = ["one UPDATE"] if BASELINE_ONLY else ["pgxc", "one UPDATE"]
        if number == 0:
            sides += LOOPS + [side + REBUILT for side in sides]
        everything[rows] = one_size(conn, rows, sides)
    raw_table(everything)
    summary(everything)
    if not BASELINE_ONLY:
        targets(everything)
        memory(everything)


main(body)
