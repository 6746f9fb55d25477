"""What the guard costs a DDL statement and an ordinary query where no migration is open; run by guard_cost.sh."""
import os
import re
import subprocess
import time

from benchlib import QUICK, Conn, env_number, headline, main, median, met, need, ratio, table

STATEMENTS = env_number("PGXC_BENCH_ROWS", 200 if QUICK else 3000)
RUNS = env_number("PGXC_BENCH_RUNS", 2 if QUICK else 9)
SECONDS = 2 if QUICK else 12
SIDES = ["without the library", "no migration open"]
DDL = {
    "COMMENT ON TABLE": ["COMMENT ON TABLE g IS 'a'"],
    "ALTER TABLE ... SET STATISTICS": ["ALTER TABLE g ALTER COLUMN a SET STATISTICS 90"],
    "ALTER TABLE ... SET DEFAULT": ["ALTER TABLE g ALTER COLUMN a SET DEFAULT 7"],
    "CREATE TABLE; DROP TABLE": ["CREATE TABLE h (a integer)", "DROP TABLE h"],
}


def connect(side):
    os.environ["PGXC_BENCH_SOCKET_DIR"] = need("PGXC_WITHOUT" if side == SIDES[0] else "PGXC_WITH")
    return Conn()


def prepare(conn):
    conn.query("CREATE TABLE g (id integer PRIMARY KEY, a integer)")
    conn.query("SET synchronous_commit = off")


def microseconds(conn, statements):
    """Of one statement, on the average; in one transaction, so that no commit is measured."""
    conn.query("BEGIN")
    begin = time.perf_counter()
    for _ in range(STATEMENTS):
        for statement in statements:
            conn.query(statement)
    elapsed = time.perf_counter() - begin
    conn.query("ROLLBACK")
    return elapsed / STATEMENTS / len(statements) * 1e6


def select_only(side):
    """Transactions a second of pgbench -S, prepared, 8 clients."""
    socket = need("PGXC_WITHOUT" if side == SIDES[0] else "PGXC_WITH")
    args = [os.path.join(need("PGXC_BENCH_BINDIR"), "pgbench"), "-n", "-S", "-M", "prepared", "-c", "8", "-j", "2",
            "-T", str(SECONDS), "-h", socket, "-p", need("PGXC_BENCH_PORT"), "-U", need("PGXC_BENCH_USER"), "bench"]
    out = subprocess.run(args, check=True, capture_output=True, text=True).stdout
    return float(re.search(r"tps = ([0-9.]+) \(without", out).group(1))


def load_pgbench(side):
    socket = need("PGXC_WITHOUT" if side == SIDES[0] else "PGXC_WITH")
    subprocess.run([os.path.join(need("PGXC_BENCH_BINDIR"), "pgbench"), "-i", "-q", "-s", "5", "-h", socket, "-p", need("PGXC_BENCH_PORT"),
                    "-U", need("PGXC_BENCH_USER"), "bench"], check=True, capture_output=True)


def measure_ddl(conns):
    rows = []
    for name, statements in DDL.items():
        times = {side: [] for side in SIDES}
        for run in range(RUNS):
            for side in SIDES if run % 2 == 0 else reversed(SIDES):
                times[side].append(microseconds(conns[side], statements))
        without, with_it = (median(times[side]) for side in SIDES)
        more = with_it - without
        rows.append([name, without, with_it, more, met(more, 20, False)])
    return rows


def body(conn):
    conns = {side: connect(side) for side in SIDES}
    for side in SIDES:
        prepare(conns[side])
        load_pgbench(side)
    headline(conn, "What the guard costs where no migration is open",
             f"Microseconds of one DDL statement, {STATEMENTS} of them in one transaction over a socket; and `pgbench -S -M prepared`, "
             f"8 clients, {SECONDS} s. Both servers in turns.", RUNS)
    table(["statement, microseconds", SIDES[0], SIDES[1], "more", "<= 20 more"], measure_ddl(conns))
    tps = {side: [] for side in SIDES}
    for run in range(RUNS):
        for side in SIDES if run % 2 == 0 else reversed(SIDES):
            tps[side].append(select_only(side))
    without, with_it = (median(tps[side]) for side in SIDES)
    table(["pgbench -S, tps", SIDES[0], SIDES[1], "ratio", "ratio of each run"],
          [["medians", without, with_it, ratio(with_it, without),
            " ".join(f"{b / a:.3f}" for a, b in zip(tps[SIDES[0]], tps[SIDES[1]]))]])


main(body)
