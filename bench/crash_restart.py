"""kill -9 of the postmaster in the middle of a backfill."""
import os
import signal
import subprocess
import time

from benchlib import (HERE, QUICK, STOPPED, BenchError, Conn, PgError, env_number, explain_stop, fresh_table, headline,
                      main, median, met, need, progress, say, seeded, start, table, where_is, write_csv)

ROWS = env_number("PGXC_BENCH_ROWS", 300000 if QUICK else 3000000)
CRASHES = env_number("PGXC_BENCH_CRASHES", 2 if QUICK else 10)
PATIENCE = 90


def connect(seconds):
    """A connection as soon as the server accepts one."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return Conn()
        except (OSError, PgError):
            if time.monotonic() > deadline:
                raise BenchError("the server does not come back") from None
            time.sleep(0.005)


def children_of(pid):
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8") as stat:
                    if int(stat.read().rpartition(")")[2].split()[1]) == pid:
                        found.append(int(name))
            except OSError:
                pass
    return found


def postmaster_and_children():
    with open(need("PGXC_BENCH_SERVER") + "/data/postmaster.pid", encoding="utf-8") as pidfile:
        pid = int(pidfile.readline())
    children = children_of(pid)
    if not children:
        raise BenchError("found no postmaster to kill")
    return [pid, *children]


def kill_postmaster(processes):
    """kill -9 of the postmaster alone; returns once all its children have
    noticed, because a new one cannot start before."""
    os.kill(processes[0], signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE
    while any(os.path.exists(f"/proc/{process}") for process in processes):
        if time.monotonic() > deadline:
            raise BenchError("the postmaster's children do not end")
        time.sleep(0.01)


def start_server():
    subprocess.run(["bash", "-c", '. "$1/lib.sh" && bench_start_again', "_", HERE], check=True)


def first_look(conn, migration):
    """What recovery left, and how many chunks this life of the server has done
    already: shared memory is new, so its counters begin at zero."""
    fresh = int(conn.value(
        f"SELECT coalesce(sum(chunks), 0) FROM pgxc.live_workers() WHERE migration_id = {migration}"))
    return progress(conn, migration), fresh


def wait_for_chunk(conn, migration, chunks):
    deadline = time.monotonic() + PATIENCE
    while progress(conn, migration)[1] <= chunks:
        phase, state, _ = where_is(conn, migration)
        if phase != "migrate" or state in STOPPED:
            raise BenchError(f"after the crash: {phase}, {explain_stop(conn, migration)}")
        if time.monotonic() > deadline:
            raise BenchError("no new chunk after the restart")
        time.sleep(0.005)


def one_crash(conn, migration, number):
    processes = postmaster_and_children()
    seen = progress(conn, migration)
    kill_postmaster(processes)
    conn.close()
    begin = time.monotonic()
    start_server()
    conn = connect(PATIENCE)
    accepting = time.monotonic() - begin
    left, fresh = first_look(conn, migration)
    if fresh == 0:
        wait_for_chunk(conn, migration, left[1])
    seconds = time.monotonic() - begin
    say(f"crash {number} of {CRASHES}: {seconds:.2f} s")
    return conn, (number, 100.0 * seen[0] / ROWS, accepting, seconds,
                  None if fresh else max(seen[1] - left[1], 0), None if fresh else max(seen[0] - left[0], 0),
                  f"{fresh} new chunks at the first look: those redone are not known" if fresh else "")


def body(conn):
    headline(conn, "Crash and restart", f"""
A backfill of {ROWS} rows (settings at their defaults, no other load; assignments `b = a, touched = touched + 1`, predicate
`b IS NULL`, so that `touched` counts how often a row was updated) while the postmaster is killed with SIGKILL {CRASHES} times at random points of its update step. When
its orphans have ended, the server is started with `pg_ctl start`: the clock runs from there (crash recovery included) until the first new
chunk is committed. "Redone" is what had been seen as committed just before the kill and was gone after recovery, so that it had to be done
again: chunks commit asynchronously. A chunk that was at work at the moment of the kill does not count, nobody saw it committed.""")
    random = seeded()
    fresh_table(conn, ROWS)
    migration = start(conn, "t", "b = a, touched = touched + 1", predicate="'b IS NULL'")
    points = sorted(random.uniform(0.05, 0.8) for _ in range(CRASHES))
    rows = []
    for number, point in enumerate(points, 1):
        while True:
            phase, state, step = where_is(conn, migration)
            if phase != "migrate" or state in STOPPED or step != "update":
                raise BenchError(f"cannot go on at crash {number}: {phase} {step}, {explain_stop(conn, migration)}")
            if progress(conn, migration)[0] >= point * ROWS:
                break
            time.sleep(0.01)
        time.sleep(random.uniform(0.0, 0.2))
        conn, row = one_crash(conn, migration, number)
        rows.append(row)
    deadline = time.monotonic() + 900
    while where_is(conn, migration)[0] == "migrate":
        if where_is(conn, migration)[1] in STOPPED or time.monotonic() > deadline:
            raise BenchError(f"not finished: {explain_stop(conn, migration)}")
        time.sleep(0.1)
    header = ["crash", "rows done before, %", "s until connections", "s until the first new chunk", "chunks redone", "rows redone", "note"]
    write_csv("crash_restart", header, rows)
    table(header, rows)
    left, twice = conn.one("SELECT count(*) FILTER (WHERE b IS DISTINCT FROM a), count(*) FILTER (WHERE touched <> 1) FROM t")
    worst = max(row[3] for row in rows)
    redone = max((row[4] for row in rows if row[4] is not None), default=None)
    table(["quantity", "measured", "reach", "met"], [
        ("s until the first new chunk, median", median([row[3] for row in rows]), "-", "-"),
        ("s until the first new chunk, worst", worst, "≤ 10", met(worst, 10, False)),
        ("chunks redone, worst", redone, "≤ 1", met(redone, 1, False)),
        ("rows redone, worst", max((row[5] for row in rows if row[5] is not None), default=None), "-", "-"),
        ("rows not updated at the end", int(left), "0", met(int(left), 0, False)),
        ("rows not updated exactly once", int(twice), "0", met(int(twice), 0, False))])


main(body)
