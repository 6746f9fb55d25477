"""What the benchmarks share: a connection, the tables, statistics, reports.

Only the standard library is used.  The server is started by lib.sh, which
tells where it is through PGXC_BENCH_* variables.
"""
import atexit
import csv
import itertools
import os
import platform
import random
import re
import signal
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def env_number(name, default):
    """A number; of a list (PGXC_BENCH_ROWS may be one) the first."""
    value = os.environ.get(name, "").replace(",", " ").split()
    return type(default)(value[0]) if value else default


def env_list(name, default):
    value = os.environ.get(name, "")
    return [int(part) for part in value.replace(",", " ").split()] if value else default


def need(name):
    value = os.environ.get(name)
    if not value:
        sys.exit(f"{name} is not set: start the benchmarks with bench/run.sh")
    return value


QUICK = env_number("PGXC_BENCH_QUICK", 0) == 1
RUNS = env_number("PGXC_BENCH_RUNS", 1 if QUICK else 3)
BASELINE_ONLY = env_number("PGXC_BENCH_BASELINE_ONLY", 0) == 1
SEED = env_number("PGXC_BENCH_SEED", 20240501)


class BenchError(Exception):
    """The measurement could not be made."""


class PgError(Exception):
    """An error from the server."""

    def __init__(self, fields):
        super().__init__(f"{fields.get('C')}: {fields.get('M')}")
        self.sqlstate = fields.get("C")


class Conn:
    """A connection over the unix socket, simple query protocol, no password.

    Written here because a poll every few milliseconds through psql would
    cost more than what it measures.
    """

    def __init__(self, dbname="bench", app="pgxc_bench"):
        self.notices = []
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.buffer = b""
        path = f"{need('PGXC_BENCH_SOCKET_DIR')}/.s.PGSQL.{need('PGXC_BENCH_PORT')}"
        self.sock.connect(path)
        params = {"user": need("PGXC_BENCH_USER"), "database": dbname,
                  "application_name": app, "client_encoding": "UTF8"}
        body = struct.pack("!i", 196608)
        for key, value in params.items():
            body += key.encode() + b"\0" + value.encode() + b"\0"
        body += b"\0"
        self.sock.sendall(struct.pack("!i", len(body) + 4) + body)
        self._results()

    def _message(self):
        while True:
            if len(self.buffer) >= 5:
                length = struct.unpack_from("!i", self.buffer, 1)[0]
                if len(self.buffer) > length:
                    kind = self.buffer[:1]
                    body = self.buffer[5:length + 1]
                    self.buffer = self.buffer[length + 1:]
                    return kind, body
            data = self.sock.recv(65536)
            if not data:
                raise ConnectionError("the server closed the connection")
            self.buffer += data

    @staticmethod
    def _fields(body):
        parts = body.rstrip(b"\0").split(b"\0")
        return {part[:1].decode(): part[1:].decode("utf-8", "replace") for part in parts if part}

    def _results(self):
        rows, error = [], None
        while True:
            kind, body = self._message()
            if kind == b"D":
                row, at = [], 2
                for _ in range(struct.unpack_from("!h", body)[0]):
                    length = struct.unpack_from("!i", body, at)[0]
                    at += 4
                    if length < 0:
                        row.append(None)
                    else:
                        row.append(body[at:at + length].decode())
                        at += length
                rows.append(tuple(row))
            elif kind == b"T":
                rows = []
            elif kind == b"E":
                error = error or PgError(self._fields(body))
                if body[:1] == b"S" and b"FATAL" in body[:8]:
                    raise error
            elif kind == b"N":
                self.notices.append(self._fields(body).get("M"))
            elif kind == b"R" and struct.unpack_from("!i", body)[0] != 0:
                raise BenchError("the server asks for a password")
            elif kind == b"Z":
                if error:
                    raise error
                return rows

    def query(self, sql):
        """Run sql; the rows of its last statement, as tuples of text."""
        body = sql.encode() + b"\0"
        self.sock.sendall(b"Q" + struct.pack("!i", len(body) + 4) + body)
        return self._results()

    def one(self, sql):
        """The first row, or None."""
        rows = self.query(sql)
        return rows[0] if rows else None

    def value(self, sql):
        row = self.one(sql)
        return row[0] if row else None

    def close(self):
        try:
            self.sock.sendall(b"X" + struct.pack("!i", 4))
        except OSError:
            pass
        self.sock.close()


# --- statistics -------------------------------------------------------------

def median(values):
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def percentile(sorted_values, p):
    """Nearest rank: the smallest value that p percent of all do not exceed."""
    if not sorted_values:
        return None
    rank = -(-len(sorted_values) * p // 100)
    return sorted_values[max(int(rank), 1) - 1]


def ratio(a, b):
    return a / b if a is not None and b else None


def num(value, digits=2):
    if value is None:
        return "-"
    if isinstance(value, str):
        return value.replace("|", "/").replace("\n", " ")
    if isinstance(value, int):
        return f"{value:,}".replace(",", " ")
    return f"{value:.{digits}f}"


def met(value, limit, at_least):
    """'yes', 'no' or '-', for the column that says whether a target is reached."""
    if value is None:
        return "-"
    return "yes" if (value >= limit if at_least else value <= limit) else "no"


# --- reports ----------------------------------------------------------------

def results_path(name):
    folder = need("PGXC_BENCH_RESULTS")
    os.makedirs(folder, exist_ok=True)
    return os.path.join(folder, name)


def write_csv(name, header, rows):
    with open(results_path(name + ".csv"), "w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(header)
        writer.writerows(rows)


def table(header, rows):
    """Print a markdown table."""
    print()
    print("| " + " | ".join(header) + " |")
    print("|" + "|".join("---" for _ in header) + "|")
    for row in rows:
        print("| " + " | ".join(num(cell) for cell in row) + " |")
    print(flush=True)


def say(text):
    """Progress, for whoever watches; not part of the report."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


def machine():
    model, memory = "unknown", "unknown"
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as cpuinfo:
            found = re.search(r"model name\s*:\s*(.*)", cpuinfo.read())
            model = found.group(1).strip() if found else model
        with open("/proc/meminfo", encoding="utf-8") as meminfo:
            kilobytes = int(re.search(r"MemTotal:\s*(\d+)", meminfo.read()).group(1))
            memory = f"{kilobytes / 1048576:.0f} GB"
    except OSError:
        pass
    return f"{len(os.sched_getaffinity(0))} cores ({model}), {memory} memory, {platform.system()} {platform.release()}"


def headline(conn, title, what, runs=None):
    """What was done, where, and with which settings."""
    runs = RUNS if runs is None else runs
    print(f"## {title}\n")
    print(what.strip() + "\n")
    print(f"- machine: {machine()}; load average at the start {os.getloadavg()[0]:.2f}")
    print(f"- server: {conn.value('SELECT version()')}")
    settings = conn.query(
        "SELECT name, current_setting(name) FROM pg_settings "
        "WHERE source IN ('configuration file', 'command line') "
        "AND name !~ '^(lc_|log_|unix_socket|listen_|port$|data_directory|config_file|hba_file|ident_file|"
        "dynamic_library_path|extension_|cluster_name|default_text_search|DateStyle|TimeZone|external_pid)' "
        "ORDER BY name")
    print("- settings: " + ", ".join(f"`{name}={value}`" for name, value in settings))
    print(f"- runs: {runs}" + ("; **quick mode: a smoke test, its numbers mean nothing**" if QUICK else ""))
    if BASELINE_ONLY:
        print("- **baseline only: pgxc is not measured**")
    print(flush=True)
    if os.getloadavg()[0] > 0.5:
        say("warning: the machine is not idle, numbers will be off")


# --- tables -----------------------------------------------------------------


def make_template(conn, rows):
    """The prepared data: about 170 bytes a row, b empty."""
    name = f"template_{rows}"
    if conn.value(f"SELECT to_regclass('{name}')") is None:
        say(f"preparing {rows} rows")
        conn.query(
            f"CREATE UNLOGGED TABLE {name} AS "
            "SELECT g AS id, (g * 7919) % 1000003 AS a, NULL::bigint AS b, "
            "(hashint8(g) & 1048575)::integer AS customer, 0::integer AS touched, "
            "timestamptz '2024-01-01' + g * interval '1 second' AS created, "
            "rpad(md5(g::text), 104, 'x') AS pad "
            f"FROM generate_series(1::bigint, {rows}) g")
        conn.query(f"VACUUM {name}")
    return name


def fresh_table(conn, rows, name="t", rebuilt=False):
    """A new table with a primary key and two more indexes, fillfactor 100,
    autovacuum off, vacuumed and analysed, and everything of it written.

    The index on customer has a random order.  Like every such index in use it
    has grown by inserts and is some 70 % full; rebuilt means that it was just
    built by CREATE INDEX, 90 % full and about to split everywhere.
    """
    template = make_template(conn, rows)
    # Set-up only: this connection measures nothing.  The copy must have the
    # template's order.
    conn.query("SET maintenance_work_mem = '512MB'")
    conn.query("SET max_parallel_workers_per_gather = 0")
    conn.query("SET synchronize_seqscans = off")
    conn.query(f"DROP TABLE IF EXISTS {name}")
    conn.query(f"CREATE TABLE {name} WITH (fillfactor = 100, autovacuum_enabled = off, "
               f"toast.autovacuum_enabled = off) AS TABLE {template} WITH NO DATA")
    if not rebuilt:
        conn.query(f"CREATE INDEX {name}_customer ON {name} (customer)")
    conn.query(f"INSERT INTO {name} TABLE {template}")
    if rebuilt:
        conn.query(f"CREATE INDEX {name}_customer ON {name} (customer)")
    conn.query(f"ALTER TABLE {name} ADD PRIMARY KEY (id)")
    conn.query(f"CREATE INDEX {name}_created ON {name} (created)")
    conn.query(f"VACUUM (ANALYZE) {name}")
    conn.query("CHECKPOINT")
    return name


def sizes(conn, name):
    """Bytes of the heap and of all indexes."""
    row = conn.one(f"SELECT pg_relation_size('{name}'), pg_indexes_size('{name}')")
    return int(row[0]), int(row[1])


def index_sizes(conn, name):
    """Bytes of each index: created, customer, primary key."""
    return [int(row[0]) for row in conn.query(
        f"SELECT pg_relation_size(indexrelid) FROM pg_index WHERE indrelid = '{name}'::regclass "
        "ORDER BY indexrelid::regclass::text")]


def wal_position(conn):
    return int(conn.value("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"))


def hot_percent(conn, name, expected):
    """Share of HOT updates.  Processes report their counts late: wait a little."""
    deadline = time.monotonic() + 15
    while True:
        updated, hot = (int(n) for n in conn.one(
            "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables "
            f"WHERE relid = '{name}'::regclass"))
        if updated >= expected:
            return 100.0 * hot / updated
        if time.monotonic() > deadline:
            say(f"statistics saw only {updated} of {expected} updates: no HOT ratio")
            return None
        time.sleep(0.25)


def rows_left(conn, name):
    return int(conn.value(f"SELECT count(*) FROM {name} WHERE b IS DISTINCT FROM a"))


# --- migrations -------------------------------------------------------------

STOPPED = ("paused", "blocked", "attention", "failed")


_started = itertools.count(1)


def start(conn, name, assignments="b = a", **arguments):
    """Start a backfill of table name; its id.  Its own name is new each time,
    because the same name again would mean the same migration."""
    arguments["name"] = f"'bench_{os.getpid()}_{next(_started)}'"
    extra = "".join(f", {key} => {value}" for key, value in arguments.items())
    return int(conn.value(
        f"SELECT pgxc.start_backfill('{name}'::regclass, '{assignments}'{extra})"))


def where_is(conn, migration):
    """phase, state, step.  From the table, not from the view, because this is
    asked every few milliseconds and the view computes a lot more."""
    return conn.one(f"SELECT phase, state, step FROM pgxc.migration WHERE id = {migration}")


def progress(conn, migration):
    """Rows updated and chunks done, as committed."""
    row = conn.one(
        "SELECT coalesce(sum(rows_updated), 0), coalesce(sum(chunks), 0) FROM ("
        f"SELECT rows_updated, chunks FROM pgxc.leaf WHERE migration_id = {migration} UNION ALL "
        f"SELECT rows_updated, chunks FROM pgxc.stripe WHERE migration_id = {migration}) p")
    return int(row[0]), int(row[1])


def explain_stop(conn, migration):
    row = conn.one("SELECT state, wait_reason, last_error, next_step FROM pgxc.migrations "
                   f"WHERE id = {migration}")
    return "; ".join(part for part in row if part)


def throttles(conn, migration):
    """Its events other than transitions, such as throttles and retries: they
    belong beside every rate."""
    rows = conn.query("SELECT event, count(*), left(max(detail), 80) FROM pgxc.events "
                      f"WHERE migration_id = {migration} AND event <> 'transition' "
                      "GROUP BY event ORDER BY event")
    return "; ".join(f"{event} x{count}" + (f" ({detail})" if detail else "") for event, count, detail in rows)


def cancel_quietly(conn, migration):
    try:
        conn.query(f"SELECT pgxc.cancel({migration})")
    except PgError as error:
        if error.sqlstate != "55000":
            raise


def anonymous_memory(pid):
    """Memory of a process without what it shares (kB), or None if it is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as status:
            found = re.search(r"RssAnon:\s*(\d+)", status.read())
            return int(found.group(1)) if found else None
    except OSError:
        return None


# --- pgbench ----------------------------------------------------------------

_children = []


def _end_children():
    for child in _children:
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()


atexit.register(_end_children)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


class Pgbench:
    """A running pgbench whose log is read afterwards."""

    count = 0

    def __init__(self, scripts, seconds, rate=None, clients=8, app="pgxc_bench_app", dbname="bench", options=None):
        Pgbench.count += 1
        self.folder = os.path.join(need("PGXC_BENCH_WORK"), f"pgbench_{os.getpid()}_{Pgbench.count}")
        os.makedirs(self.folder)
        args = [os.path.join(need("PGXC_BENCH_BINDIR"), "pgbench"), "-n", "-M", "extended",
                "-c", str(clients), "-j", str(min(clients, 2)), "-T", str(int(seconds)), "--random-seed=" + str(SEED + Pgbench.count),
                "--failures-detailed", "-h", need("PGXC_BENCH_SOCKET_DIR"), "-p", need("PGXC_BENCH_PORT"),
                "-U", need("PGXC_BENCH_USER"), "--log", "--log-prefix=" + os.path.join(self.folder, "log")]
        if rate:
            args += ["-R", f"{rate:.1f}"]
        for number, (script, weight) in enumerate(scripts):
            path = os.path.join(self.folder, f"script{number}.sql")
            with open(path, "w", encoding="utf-8") as out:
                out.write(script)
            args += ["-f", f"{path}@{weight}"]
        args.append(dbname)
        environment = dict(os.environ, PGAPPNAME=app)
        if options:
            environment["PGOPTIONS"] = options
        self.process = subprocess.Popen(args, env=environment, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        _children.append(self.process)

    def finish(self, stop=False, tolerate=False):
        """Wait for its end (or end it); its transactions as
        (end, latency ms from the planned start, of which waiting to start).
        Clients that an error has ended are for the caller to count if he
        tolerates them."""
        if stop:
            self.process.terminate()
        self.stdout, self.stderr = self.process.communicate()
        _children.remove(self.process)
        if self.process.returncode != 0 and not stop and not tolerate:
            raise BenchError(f"pgbench failed: {self.stderr.strip()}")
        self.failed_lines = 0
        transactions = []
        for name in sorted(os.listdir(self.folder)):
            path = os.path.join(self.folder, name)
            if name.startswith("log"):
                with open(path, encoding="utf-8") as log:
                    for line in log:
                        parsed = parse_log_line(line)
                        if parsed == "failed":
                            self.failed_lines += 1
                        elif parsed:
                            transactions.append(parsed)
            os.unlink(path)
        os.rmdir(self.folder)
        transactions.sort()
        return transactions

    def tps(self):
        found = re.search(r"tps = ([0-9.]+) \(without", self.stdout)
        return float(found.group(1)) if found else None

    def aborted(self):
        """Clients that an error has ended (pgbench goes on only after a
        serialization failure or a deadlock)."""
        return len(re.findall(r"client \d+ (?:script \d+ )?aborted", self.stderr))

    def deadlocks(self):
        found = re.search(r"number of deadlock failures: (\d+)", self.stdout)
        return int(found.group(1)) if found else 0

    def failed(self):
        found = re.search(r"number of failed transactions: (\d+)", self.stdout)
        return int(found.group(1)) if found else 0


def parse_log_line(line):
    """client, transaction, time, script, epoch, microseconds[, lag]; the time
    of a transaction that failed is a word."""
    fields = line.split()
    if len(fields) < 6:
        return None
    if not fields[2].isdigit():
        return "failed"
    lag = int(fields[6]) / 1000 if len(fields) > 6 and fields[6].isdigit() else 0.0
    return int(fields[4]) + int(fields[5]) / 1e6, int(fields[2]) / 1000, lag


def latencies(transactions, begin, end):
    """Percentiles of what ended in begin..end: from the planned start (what a
    user waits) and from the real start (what the server took)."""
    chosen = [t for t in transactions if begin <= t[0] < end]
    from_plan = sorted(t[1] for t in chosen)
    service = sorted(t[1] - t[2] for t in chosen)
    report = {"n": len(chosen), "tps": len(chosen) / (end - begin)}
    for label, values in (("", from_plan), ("service_", service)):
        for p in (50, 95, 99, 99.9):
            report[f"{label}p{p}"] = percentile(values, p)
        report[label + "max"] = values[-1] if values else None
    return report


def max_rate(scripts, seconds):
    """Median tps of three runs without a limit."""
    rates = []
    for _ in range(1 if QUICK else 3):
        bench = Pgbench(scripts, seconds)
        bench.finish()
        rates.append(bench.tps())
    return median(rates), rates


class Sampler(threading.Thread):
    """Calls look() every interval seconds until stopped; keeps what it returns."""

    def __init__(self, interval, look):
        super().__init__(daemon=True)
        self.interval, self.look = interval, look
        self.samples, self.error = [], None
        self.gaps = []
        self.ending = threading.Event()

    def run(self):
        due, last = time.monotonic(), None
        while not self.ending.is_set():
            now = time.monotonic()
            if last is not None:
                self.gaps.append(now - last)
            last = now
            try:
                self.samples.extend(self.look())
            except Exception as error:  # the thread that joins reports it
                self.error = error
                return
            due = max(due + self.interval, time.monotonic())
            self.ending.wait(max(0.0, due - time.monotonic()))

    def stop(self):
        self.ending.set()
        self.join()
        if self.error:
            raise BenchError(f"a sampler stopped: {self.error}")
        return self.samples


DUTY_SAMPLE = ("SELECT duty, busy_time, delay_time, wait_reason, tuples_updated, phase "
               "FROM pgxc.progress_backfill WHERE migration_id = %d ORDER BY pid LIMIT 1")


def duty_sampler(migration):
    """(time, duty, busy ms, delay ms, wait reason, rows, phase) every 200 ms."""
    conn = Conn(app="pgxc_bench_sampler")

    def look():
        row = conn.one(DUTY_SAMPLE % migration)
        if row is None:
            return []
        return [(time.time(), float(row[0] or 0), float(row[1] or 0), float(row[2] or 0), row[3], int(row[4] or 0), row[5])]

    sampler = Sampler(0.2, look)
    sampler.start()
    return sampler


def busy_share(samples, begin, end):
    """The share of the time in which chunks really ran, whatever duty says."""
    chosen = [s for s in samples if begin <= s[0] < end]
    if len(chosen) < 2 or chosen[-1][2] < chosen[0][2]:
        return None
    return (chosen[-1][2] - chosen[0][2]) / 1000 / (chosen[-1][0] - chosen[0][0])


def seeded():
    return random.Random(SEED)


def main(body):
    """Run a benchmark's body with a connection."""
    conn = Conn()
    try:
        body(conn)
    except (BenchError, PgError, ConnectionError) as error:
        print(f"\n**not measured: {error}**", flush=True)
        sys.exit(1)
