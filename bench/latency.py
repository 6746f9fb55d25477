"""What an application notices of a backfill, and what duty the controller finds."""
import time

from benchlib import (BASELINE_ONLY, QUICK, RUNS, BenchError, Conn, Pgbench, busy_share, cancel_quietly, duty_sampler,
                      env_list, env_number, explain_stop, fresh_table, headline, latencies, main, max_rate, median,
                      met, ratio, say, start, table, where_is, write_csv)

ROWS = env_number("PGXC_BENCH_ROWS", 500000 if QUICK else 10000000)
SECONDS = env_number("PGXC_BENCH_SECONDS", 3 if QUICK else 30)
WARMUP = 1 if QUICK else 5
LOADS = env_list("PGXC_BENCH_LOADS", [20, 50, 90])
SETTLED = 0.6  # duty counts as settled in the last part of a measurement
IDLE_LIMIT = 10 if QUICK else 45
STEP_SECONDS = 8 if QUICK else SECONDS  # of load in the step response
REPORTED = ("p50", "p95", "p99", "max", "service_p50", "service_p95", "service_p99", "service_max")

SCRIPT = f"""\\set id random(1, {ROWS})
\\set other random(1, {ROWS})
SELECT a, b, pad FROM t WHERE id = :other;
UPDATE t SET touched = touched + 1 WHERE id = :id;
"""


class Span:
    """One measurement at one load: with or without a backfill."""

    def __init__(self, load, side, run):
        self.load, self.side, self.run = load, side, run
        self.lat, self.duty, self.busy, self.rows, self.note = {}, None, None, None, ""


def check_running(conn, migration):
    """The step, if the migration still works; an error if it gave up."""
    phase, state, step = where_is(conn, migration)
    if phase == "migrate" and state in ("failed", "attention", "paused"):
        raise BenchError(f"migration {migration} stopped: {explain_stop(conn, migration)}")
    return step if phase == "migrate" else phase


def measure(conn, span, rate, duty_log):
    """pgbench at a fixed rate; the backfill starts when the warm-up is over,
    so that its first seconds count as well."""
    bench = Pgbench([(SCRIPT, 1)], WARMUP + SECONDS + 2, rate)
    time.sleep(WARMUP)
    migration, sampler = None, None
    begin = time.time()
    if span.side == "with":
        migration = start(conn, "t")
        sampler = duty_sampler(migration)
    time.sleep(max(0.0, begin + SECONDS - time.time()))
    end = time.time()
    if migration:
        step = check_running(conn, migration)
        if step != "update":
            span.note = f"backfill was in step {step} at the end"
        samples = sampler.stop()
        duty_log += [(span.load, span.run, sample[0] - begin, *sample[1:]) for sample in samples]
        late = [s for s in samples if s[0] >= begin + SECONDS * SETTLED]
        span.duty = median([s[1] for s in late])
        span.busy = busy_share(samples, begin + SECONDS * SETTLED, end)
        span.rows = samples[-1][5] if samples else None
        reasons = sorted({s[4].split(":")[0].split("(")[0].strip() for s in samples if s[4]})
        span.note = "; ".join([part for part in [span.note, ", ".join(reasons)[:200]] if part])
        cancel_quietly(conn, migration)
    transactions = bench.finish()
    span.lat = latencies(transactions, begin, end)
    span.failed = bench.failed()
    return transactions


def one_load(conn, load, top, duty_log):
    spans = []
    for run in range(1, RUNS + 1):
        fresh_table(conn, ROWS)
        sides = ["without"] if BASELINE_ONLY else ["without", "with"] if run % 2 else ["with", "without"]
        for side in sides:
            say(f"{load} % of the maximum rate, run {run} of {RUNS}: {side} a backfill")
            span = Span(load, side, run)
            measure(conn, span, top * load / 100, duty_log)
            spans.append(span)
    return spans


def report(spans):
    header = ["load %", "side", "run", "tps", "transactions", "failed",
              "p50 ms", "p95 ms", "p99 ms", "max ms", "p50 ms in the server", "p95 ms in the server", "p99 ms in the server",
              "max ms in the server", "duty at the end", "working share at the end", "rows updated meanwhile", "note"]
    rows = [(s.load, s.side, s.run, s.lat["tps"], s.lat["n"], s.failed, *(s.lat[k] for k in REPORTED), s.duty, s.busy, s.rows, s.note)
            for s in spans]
    write_csv("latency", header, rows)
    print("### Every run")
    table(header, rows)


def summary(spans):
    print("### With a backfill against without (medians of the runs)")
    limits = {"p50": 1.25, "p95": 1.5, "p99": 1.5}
    rows = []
    for load in LOADS:
        for key in REPORTED:
            values = {side: median([s.lat[key] for s in spans if s.load == load and s.side == side])
                      for side in ("without", "with")}
            value = ratio(values["with"], values["without"])
            reach, ok = "-", "-"
            if load == 50 and key in limits:
                reach, ok = f"≤ {limits[key]}x", met(value, limits[key], False)
            elif load == 50 and key == "max":
                worst = max(s.lat["max"] for s in spans if s.load == load and s.side == "with")
                reach, ok = "≤ 200 ms", met(worst, 200, False)
                key = f"max (worst run with a backfill: {worst:.1f} ms)"
            rows.append((load, key.replace("service_", "in the server, "), values["without"], values["with"], value, reach, ok))
    table(["load %", "quantity", "without, ms", "with, ms", "with ÷ without", "reach", "met"], rows)
    rows = []
    for load in LOADS:
        chosen = [s for s in spans if s.load == load and s.side == "with"]
        rows.append((load, median([s.duty for s in chosen]), median([s.busy for s in chosen]),
                     round(median([s.rows for s in chosen]) / SECONDS)))
    print(f"Duty at the end: median over the last {round((1 - SETTLED) * 100)} % of each measurement.")
    table(["load %", "duty at the end", "working share at the end", "rows/s of the backfill"], rows)


def wait_for_duty(samples, begin, limit, seconds):
    """Waits until a sample after begin satisfies the limit; seconds, or None."""
    while time.time() < begin + seconds:
        for sample in list(samples):
            if sample[0] >= begin and limit(sample[1]):
                return sample[0] - begin
        time.sleep(0.1)
    return None


def step_response(conn, top, duty_log):
    """Idle, then 90 % of the maximum rate, then idle again."""
    rows = []
    for run in range(1, RUNS + 1):
        fresh_table(conn, ROWS)
        say(f"load step, run {run} of {RUNS}")
        begin = time.time()
        migration = start(conn, "t")
        sampler = duty_sampler(migration)
        rise = wait_for_duty(sampler.samples, begin, lambda duty: duty >= 0.6, IDLE_LIMIT)
        time.sleep(1 if QUICK else 3)

        bench = Pgbench([(SCRIPT, 1)], STEP_SECONDS + 5, top * 0.9)
        busy = activity_begin(bench)
        fall = wait_for_duty(sampler.samples, busy, lambda duty: duty <= 0.1, STEP_SECONDS)
        time.sleep(max(0.0, busy + STEP_SECONDS - time.time()))
        bench.finish(stop=True)
        idle = time.time()
        again = wait_for_duty(sampler.samples, idle, lambda duty: duty >= 0.6, IDLE_LIMIT)
        time.sleep(1)
        step = check_running(conn, migration)
        samples = sampler.stop()
        cancel_quietly(conn, migration)
        duty_log += [("step", run, sample[0] - begin, *sample[1:]) for sample in samples]
        in_load = [s[1] for s in samples if busy + 5 <= s[0] < idle]
        rows.append((run, rise, fall, median(in_load), max(in_load, default=None), busy_share(samples, busy + 5, idle), again,
                     "" if step == "update" else f"backfill was in step {step} at the end: table too small"))
    header = ["run", "s from the start to duty ≥ 0.6 (idle)", "s from the load to duty ≤ 0.1", "median duty under load after 5 s",
              "largest duty under load after 5 s", "working share under load after 5 s", "s from its end to duty ≥ 0.6", "note"]
    write_csv("latency_step", header, rows)
    print(f"### Load step: idle, 90 % of the maximum rate for {STEP_SECONDS} s, idle (- means: not within {STEP_SECONDS} s / {IDLE_LIMIT} s)")
    table(header, rows)

    def worst(column):
        values = [row[column] for row in rows]
        return None if None in values else max(values)

    fall, again = worst(2), worst(6)
    table(["quantity (worst run)", "measured", "reach", "met"], [
        ("s until duty ≤ 0.1 under load", fall, "≤ 5", met(fall, 5, False) if fall is not None else "no"),
        ("s until duty ≥ 0.6 when idle again", again, "≤ 30", met(again, 30, False) if again is not None else "no")])


def activity_begin(bench):
    """The moment at which the application's first statement runs."""
    conn = Conn()
    for _ in range(500):
        if bench.process.poll() is not None:
            break
        if conn.value("SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'pgxc_bench_app' AND query <> ''") == "t":
            break
        time.sleep(0.01)
    conn.close()
    return time.time()


def body(conn):
    headline(conn, "Latency", f"""
An application (pgbench, 8 clients, `-M extended`: one SELECT and one UPDATE by key, each its own transaction) works on
the table that is being backfilled: {ROWS} rows of about 170 bytes, 3 indexes, autovacuum off for the table on both sides. pgxc with its settings at
their defaults. The rate is held with `-R` at a share of what the application reaches alone; the latency of a transaction
counts from its planned start, waiting included ("in the server": from its real start). {WARMUP} s of warm-up do not count; the backfill starts
after them, so its own start does count. {SECONDS} s for each measurement; every pair of measurements (without, with; the next run in the opposite order)
has a fresh table. "Working share" is the time spent in chunks ÷ time, whatever `duty` says.""")
    fresh_table(conn, ROWS)
    say("maximum rate")
    top, rates = max_rate([(SCRIPT, 1)], 2 if QUICK else 10)
    print(f"Maximum rate of the application alone: {top:.0f} transactions/s (runs: {', '.join(f'{r:.0f}' for r in rates)}).\n", flush=True)
    spans, duty_log = [], []
    for load in LOADS:
        spans += one_load(conn, load, top, duty_log)
    report(spans)
    if not BASELINE_ONLY:
        summary(spans)
        step_response(conn, top, duty_log)
        write_csv("latency_duty", ["load %", "run", "s", "duty", "busy ms", "delay ms", "wait reason", "rows", "phase"], duty_log)


main(body)
