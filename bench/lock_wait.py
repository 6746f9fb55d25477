"""How long application statements wait for locks of a backfill."""
import re
import time

from benchlib import (BASELINE_ONLY, QUICK, RUNS, Conn, Pgbench, Sampler, env_number, explain_stop, fresh_table, headline,
                      latencies, main, max_rate, median, met, need, percentile, progress, ratio, say, start, table,
                      where_is, write_csv, cancel_quietly)

ROWS = env_number("PGXC_BENCH_ROWS", 50000 if QUICK else 3000000)
SECONDS = env_number("PGXC_BENCH_SECONDS", 4 if QUICK else 60)
WARMUP = 1 if QUICK else 3
INTERVAL = 0.01
HOT = 1000
STEP = max(ROWS // HOT, 1)

# Two rows in a transaction, the higher key first: no two clients can deadlock
# with each other, but each of them meets a chunk, which goes upwards, head-on.
SCRIPT = f"""\\set x random(1, {HOT}) * {STEP}
\\set y random(1, {ROWS})
\\set first greatest(:x, :y)
\\set second least(:x, :y)
BEGIN;
UPDATE t SET touched = touched + 1 WHERE id = :first;
UPDATE t SET touched = touched + 1 WHERE id = :second;
END;
"""

# Costs next to nothing while nobody waits: the functions that look into the
# lock table are called for waiting processes only.
WAITING = """
WITH waiting AS MATERIALIZED (
    SELECT pid, application_name FROM pg_stat_activity WHERE wait_event_type = 'Lock')
SELECT w.pid, w.application_name, extract(epoch FROM l.waitstart), extract(epoch FROM clock_timestamp()),
       b.pid, a.backend_type ~ '^pgxc' OR a.application_name ~ '^pgxc (worker|backfill|run)'
           OR b.pid IN (SELECT pid FROM pgxc.live_workers())
  FROM waiting w
       CROSS JOIN LATERAL (SELECT waitstart FROM pg_locks WHERE pid = w.pid AND NOT granted LIMIT 1) l
       CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) b(pid)
       LEFT JOIN pg_stat_activity a ON a.pid = b.pid
"""


def waits_of(samples):
    """From the samples: the longest that each wait was seen to last while a
    pgxc process was in its way, directly or through others."""
    direct, indirect, first = {}, {}, 0
    while first < len(samples):
        stamp, last = samples[first][0], first
        while last < len(samples) and samples[last][0] == stamp:
            last += 1
        edges, info, ours = {}, {}, set()
        for _, pid, app, since, now, blocker, is_ours in samples[first:last]:
            edges.setdefault(pid, set()).add(blocker)
            info[pid] = (app, since, now)
            if is_ours:
                ours.add(blocker)
        for pid, (app, since, now) in info.items():
            if app != "pgxc_bench_app" or since is None:
                continue
            key, ms = (pid, since), max(0.0, (now - since) * 1000)
            if edges[pid] & ours:
                direct[key] = max(ms, direct.get(key, 0.0))
            seen, todo = set(), list(edges[pid])
            while todo:
                at = todo.pop()
                if at not in seen:
                    seen.add(at)
                    todo += edges.get(at, ())
            if seen & ours:
                indirect[key] = max(ms, indirect.get(key, 0.0))
        first = last
    return direct, indirect


def lock_sampler():
    conn = Conn(app="pgxc_bench_sampler")
    sql = WAITING if not BASELINE_ONLY else re.sub(r"OR b\.pid IN .*\n", "\n", WAITING)
    count = [0]

    def look():
        count[0] += 1
        return [(count[0], int(pid), app, float(since) if since else None, float(now), int(blocker), ours == "t")
                for pid, app, since, now, blocker, ours in conn.query(sql)]

    sampler = Sampler(INTERVAL, look)
    sampler.start()
    return sampler


def server_log_counts(begin_at):
    """Deadlocks and long waits that the server reported since begin_at (bytes)."""
    with open(need("PGXC_BENCH_SERVER") + "/server.log", encoding="utf-8", errors="replace") as log:
        log.seek(begin_at)
        text = log.read()
    app_deadlocks = len(re.findall(r"app=pgxc_bench_app .*deadlock detected", text))
    other_deadlocks = text.count("deadlock detected") - app_deadlocks
    still_waiting = len(re.findall(r"app=pgxc_bench_app .*still waiting for", text))
    return app_deadlocks, other_deadlocks, still_waiting


def log_size():
    with open(need("PGXC_BENCH_SERVER") + "/server.log", "rb") as log:
        return log.seek(0, 2)


def measure(conn, side, rate):
    at = log_size()
    bench = Pgbench([(SCRIPT, 1)], WARMUP + SECONDS + 2, rate)
    time.sleep(WARMUP)
    sampler = lock_sampler()
    begin = time.time()
    result = {"side": side, "note": "", "rows": None, "chunks": None}
    if side == "with":
        migration = start(conn, "t")
        while time.time() < begin + SECONDS:
            phase, state, step = where_is(conn, migration)
            if phase != "migrate" or step != "update":
                break
            if state in ("failed", "attention", "paused"):
                result["note"] = explain_stop(conn, migration)
                break
            time.sleep(0.05)
        end = time.time()
        result["rows"], result["chunks"] = progress(conn, migration)
        if end < begin + SECONDS - 0.1:
            result["note"] = result["note"] or "the backfill was over first"
        cancel_quietly(conn, migration)
    else:
        time.sleep(SECONDS)
        end = time.time()
    samples = sampler.stop()
    transactions = bench.finish(stop=end < begin + SECONDS - 3)
    result["lat"] = latencies(transactions, begin, end)
    result["seconds"] = end - begin
    result["failed"] = bench.failed_lines
    result["deadlocks"], result["other_deadlocks"], result["still"] = server_log_counts(at)
    result["direct"], result["indirect"] = waits_of(samples)
    result["interval"] = median([gap * 1000 for gap in sampler.gaps])
    result["worst_gap"] = max(sampler.gaps, default=0) * 1000
    result["samples"] = len(sampler.gaps)
    return result


def body(conn):
    conn.query("ALTER SYSTEM SET log_lock_waits = on")
    conn.query("ALTER SYSTEM SET log_line_prefix = '%m [%p] %b app=%a '")
    conn.query("SELECT pg_reload_conf()")
    headline(conn, "Lock waits", f"""
An application (pgbench, 8 clients, `-M extended`, at half its maximum rate) updates two rows in each transaction, one of
{HOT} hot rows, spread over the whole table, and one of all {ROWS} rows, the higher key first (so clients cannot deadlock with each
other, but they meet the chunks head-on). The table has 3 indexes, autovacuum off for it on both sides; pgxc at its defaults; fresh table for every measurement; until the update step is over or {SECONDS} s.

- Waits: every {INTERVAL * 1000:.0f} ms, who waits for a heavy lock, since when (`pg_locks.waitstart`) and for whom
  (`pg_blocking_pids`); counted if a pgxc process is in the way. A wait is as long as it was last seen to be, so it may have been longer by
  one interval, and waits much shorter than an interval are mostly not seen: the percentiles lean to the long side.
- The tail of pgbench's log, from the transactions' real start, beside the same without a backfill, holds all waits, short ones too.
- Deadlock errors and waits above `deadlock_timeout` (1 s) come from the server's log.""")
    fresh_table(conn, ROWS)
    top, rates = max_rate([(SCRIPT, 1)], 2 if QUICK else 10)
    print(f"Maximum rate of the application alone: {top:.0f} transactions/s (runs: {', '.join(f'{r:.0f}' for r in rates)}).\n", flush=True)
    results = []
    for run in range(1, RUNS + 1):
        for side in ["without"] if BASELINE_ONLY else ["without", "with"]:
            fresh_table(conn, ROWS)
            say(f"run {run} of {RUNS}: {side} a backfill")
            result = measure(conn, side, top / 2)
            result["run"] = run
            results.append(result)

    header = ["side", "run", "s", "tps", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "failed transactions", "deadlock errors of the application",
              "other deadlocks", "waits > 1 s", "waits seen for us", "p50 ms", "p99 ms", "max ms", "with indirect ones", "p99 ms", "max ms",
              "rows updated", "chunks", "looks", "ms between looks", "largest gap ms", "note"]
    rows, raw = [], []
    for r in results:
        direct, indirect = sorted(r["direct"].values()), sorted(r["indirect"].values())
        raw += [(r["side"], r["run"], "direct" if key in r["direct"] else "indirect", key[0], key[1], ms)
                for key, ms in {**r["indirect"], **r["direct"]}.items()]
        rows.append((r["side"], r["run"], r["seconds"], r["lat"]["tps"], r["lat"]["service_p50"], r["lat"]["service_p99"],
                     r["lat"]["service_p99.9"], r["lat"]["service_max"], r["failed"], r["deadlocks"], r["other_deadlocks"], r["still"],
                     len(direct), percentile(direct, 50), percentile(direct, 99), direct[-1] if direct else None,
                     len(indirect), percentile(indirect, 99), indirect[-1] if indirect else None,
                     r["rows"], r["chunks"], r["samples"], r["interval"], r["worst_gap"], r["note"]))
    write_csv("lock_wait", header, rows)
    write_csv("lock_wait_waits", ["side", "run", "kind", "pid", "waiting since", "ms seen"], raw)
    print("### Every run")
    table(header, rows)
    if BASELINE_ONLY:
        return
    ours = [r for r in results if r["side"] == "with"]
    everything = sorted(ms for r in ours for ms in {**r["indirect"], **r["direct"]}.values())
    p99 = percentile(everything, 99)
    deadlocks = sum(r["deadlocks"] for r in ours)
    service = {side: median([r["lat"]["service_p99.9"] for r in results if r["side"] == side]) for side in ("without", "with")}
    table(["quantity (all runs together)", "measured", "reach", "met"], [
        ("waits for us that were seen, indirect ones included", len(everything), "-", "-"),
        ("p50, ms", percentile(everything, 50), "-", "-"),
        ("p99, ms", p99, "≤ 50", met(p99, 50, False) if everything else "yes"),
        ("max, ms", everything[-1] if everything else None, "-", "-"),
        ("deadlock errors in the application", deadlocks, "0", met(deadlocks, 0, False)),
        ("p99.9 of transactions, with ÷ without", ratio(service["with"], service["without"]), "-", "-")])


main(body)
