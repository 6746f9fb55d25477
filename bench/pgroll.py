"""int to bigint, start to contracted, against pgroll itself."""
import json
import os
import shutil
import subprocess
import time

from benchlib import (QUICK, RUNS, BenchError, Conn, env_list, env_number, headline, main, median, met, need, ratio, say,
                      sizes, table, throttles, wal_position, write_csv)
from shapes import InBackground, Restarting, ServerLog, log_settings, until_ready

SIZES = env_list("PGXC_BENCH_ROWS", [20000] if QUICK else [1000000, 10000000])
LOAD_ROWS = env_number("PGXC_BENCH_LOAD_ROWS", 5000 if QUICK else 100000)
TRIGGER_ROWS = min(SIZES[0], 1000000)
LOAD_RUNS = 1 if QUICK else RUNS
MODULE = "github.com/xataio/pgroll@v0.16.2"
MB = 1048576
VALUE = "(g * 7919::bigint % 1000003)::integer"
PAD = "rpad(md5(g::text), 80, 'x')"
DUTY = ", max_duty => 1"


# --- pgroll -------------------------------------------------------------------

def find_pgroll():
    """The program and what is known about it; built from the Go module if it is not here."""
    given = os.environ.get("PGXC_BENCH_PGROLL") or shutil.which("pgroll")
    if given:
        said = subprocess.run([given, "--version"], capture_output=True, text=True, check=True).stdout.strip()
        return given, f"the program given; it calls itself \"{said}\""
    if not shutil.which("go"):
        raise BenchError("pgroll is not here, and Go, to build it, neither: set PGXC_BENCH_PGROLL")
    say(f"building {MODULE}: minutes")
    work = need("PGXC_BENCH_WORK")
    # In the work directory, unless somebody has caches that he wants used.
    environment = {"GOPATH": f"{work}/go", "GOCACHE": f"{work}/gocache", "GOFLAGS": "-modcacherw", **os.environ}
    program = f"{work}/pgroll"
    try:
        # Not `go install`: that wants the list of all versions, which not every proxy has.
        module = json.loads(subprocess.run(["go", "mod", "download", "-json", MODULE], cwd=work, env=environment,
                                           capture_output=True, text=True, check=True).stdout)
        subprocess.run(["go", "build", "-o", program, "."], cwd=module["Dir"], env=environment,
                       capture_output=True, text=True, check=True)
    except subprocess.CalledProcessError as error:
        raise BenchError(f"pgroll could not be built: {(error.stderr or error.stdout).strip()[-500:]}") from error
    go = subprocess.run(["go", "env", "GOVERSION"], cwd=work, capture_output=True, text=True, check=True).stdout.strip()
    return program, f"{MODULE}, built with {go} from the module with hash {module['Sum']}"


class Pgroll:
    """pgroll on one database, at its defaults but for the size of a batch."""

    def __init__(self, program, dbname, batch=1000):
        self.program, self.batch = program, batch
        self.url = (f"postgres://{need('PGXC_BENCH_USER')}@/{dbname}?host={need('PGXC_BENCH_SOCKET_DIR')}"
                    f"&port={need('PGXC_BENCH_PORT')}&sslmode=disable")
        self.folder = os.path.join(need("PGXC_BENCH_WORK"), f"pgroll_{dbname}")
        os.makedirs(self.folder, exist_ok=True)
        self.file = os.path.join(self.folder, "02_bigint.json")
        with open(self.file, "w", encoding="utf-8") as out:
            json.dump({"operations": [{"alter_column": {
                "table": "acc", "column": "v", "type": "bigint",
                "up": "CAST(v AS bigint)", "down": "CAST(v AS integer)"}}]}, out)
        self._run("init")
        self._run("baseline", "01_base", self.folder, "--yes")

    def _run(self, *arguments):
        done = subprocess.run([self.program, *arguments, "--postgres-url", self.url], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=4 * 3600, check=False)
        if done.returncode != 0:
            raise BenchError(f"pgroll {arguments[0]} failed: {(done.stderr + done.stdout).strip()[-500:]}")

    def start(self):
        self._run("start", self.file, "--backfill-batch-size", str(self.batch), "--backfill-batch-delay", "0s")

    def complete(self):
        self._run("complete")


# --- databases ----------------------------------------------------------------

def template(conn, name, rows, column="v integer", index=False):
    """A database with table acc, about 120 bytes a row, and pgxc."""
    if conn.value(f"SELECT count(*) FROM pg_database WHERE datname = '{name}'") == "0":
        say(f"preparing {name}: {rows} rows")
        conn.query(f"CREATE DATABASE {name}")
        inside = Conn(name)
        inside.query("CREATE EXTENSION pgxc")
        inside.query(f"CREATE TABLE acc (id integer, {column}, pad text) WITH (autovacuum_enabled = off, toast.autovacuum_enabled = off)")
        inside.query(f"INSERT INTO acc SELECT g, {VALUE}, {PAD} FROM generate_series(1, {rows}) g")
        inside.query("ALTER TABLE acc ADD PRIMARY KEY (id)")
        inside.query(f"CREATE SEQUENCE acc_id START {rows + 1}")
        if index:
            inside.query("CREATE INDEX acc_v ON acc (v)")
        inside.query("VACUUM (ANALYZE) acc")
        inside.close()
    return name


class Copy:
    """A copy of a template: the same files on every side."""

    def __init__(self, conn, source):
        self.conn, self.name = conn, "m"
        conn.query("DROP DATABASE IF EXISTS m")
        conn.query(f"CREATE DATABASE m TEMPLATE {source} STRATEGY file_copy")
        self.inside = Conn("m")
        self.inside.query("VACUUM (ANALYZE) acc")
        conn.query("CHECKPOINT")

    def drop(self):
        self.inside.close()
        self.conn.query("DROP DATABASE m")


# --- a whole migration, nothing else at work -------------------------------------

class Result:
    def __init__(self, side, rows):
        self.side, self.rows, self.note = side, rows, ""
        self.start = self.contract = self.wal = self.before = self.after = None

    seconds = property(lambda self: self.start + self.contract)
    added = property(lambda self: sum(self.after) - sum(self.before))
    wal_per_row = property(lambda self: self.wal / self.rows)


def whole(conn, program, side, rows):
    copy = Copy(conn, template(conn, f"base_{rows}", rows))
    inside, result = copy.inside, Result(side, rows)
    pgroll = Pgroll(program, copy.name, 10000 if "10 000" in side else 1000) if side.startswith("pgroll") else None
    result.before = sizes(inside, "acc")
    conn.query("CHECKPOINT")
    wal, begin = wal_position(inside), time.monotonic()
    if pgroll:
        pgroll.start()
    else:
        migration = int(inside.value(f"SELECT pgxc.start_type_change('acc', 'v', 'bigint'{DUTY})"))
        until_ready(inside, migration)
    middle = time.monotonic()
    if pgroll:
        pgroll.complete()
    else:
        inside.query(f"SELECT pgxc.contract({migration})")
    result.start, result.contract = middle - begin, time.monotonic() - middle
    result.wal = wal_position(inside) - wal
    result.after = sizes(inside, "acc")
    if not pgroll:
        result.note = throttles(inside, migration)
    check_result(inside, rows, side)
    copy.drop()
    return result


def check_result(inside, rows, side):
    wrong = inside.value(f"SELECT count(*) FILTER (WHERE v IS DISTINCT FROM {VALUE.replace('g', 'id', 1)}) + {rows} - count(*) FROM acc")
    kind = inside.value("SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'acc'::regclass AND attname = 'v'")
    if wrong != "0" or kind != "bigint":
        raise BenchError(f"{side}: {wrong} rows are wrong, type {kind}")


# --- failed statements ---------------------------------------------------------

KINDS = {"plain": ("v integer", False), "NOT NULL, with an index": ("v integer NOT NULL", True)}


def application(rows):
    given = f"\\set id random(1, {rows})\n\\set v random(1, 1000000000)\n"
    return [(given + sql + ";\n", weight) for sql, weight in (
        ("INSERT INTO acc (id, v, pad) VALUES (nextval('public.acc_id'), :v, 'new')", 1),
        ("UPDATE acc SET v = :v WHERE id = :id", 2),
        ("SELECT v FROM acc WHERE id = :id", 1))]


def under_load(conn, program, side, kind):
    """A migration while 8 clients insert, update and read; errors in each part."""
    column, index = KINDS[kind]
    copy = Copy(conn, template(conn, f"load_{int(index)}", LOAD_ROWS, column, index))
    pgroll = Pgroll(program, copy.name) if side == "pgroll" else None
    scripts = application(LOAD_ROWS)
    new = "-c search_path=public_02_bigint" if pgroll else None
    clients = Restarting(copy.name, {"old 1": (scripts, 4, None), "old 2": (scripts, 4, None),
                                     "new 1": (scripts, 4, new), "new 2": (scripts, 4, new)})
    log = ServerLog()
    marks = [0]

    def mark():
        marks.append(len(log.errors()))

    try:
        clients.begin("old 1")
        clients.begin("old 2")
        time.sleep(1)
        mark()
        begin = time.monotonic()
        if pgroll:
            pgroll.start()
        else:
            migration = int(InBackground("SELECT pgxc.start_type_change('acc', 'v', 'bigint')", copy.name).result())
            until_ready(copy.inside, migration, 1800)
        seconds = time.monotonic() - begin
        time.sleep(0.5)
        mark()
        # The new version of the application, first beside the old one.
        clients.begin("new 1")
        clients.end("old 1")
        time.sleep(1)
        clients.begin("new 2")
        clients.end("old 2")
        time.sleep(0.5)
        mark()
        if pgroll:
            pgroll.complete()
        else:
            InBackground(f"SELECT pgxc.contract({migration})", copy.name).result()
        time.sleep(0.5)
        mark()
    finally:
        clients.end_all()
    if clients.error:
        raise BenchError(f"clients: {clients.error}")
    errors = log.errors()
    messages = {}
    for message in errors:
        messages[message] = messages.get(message, 0) + 1
    said = "; ".join(f"{count}x {message}" for message, count in sorted(messages.items(), key=lambda item: -item[1])[:3])
    copy.drop()
    before, start, both, contract = (b - a for a, b in zip(marks, marks[1:]))
    return {"kind": kind, "side": side, "statements": clients.transactions, "failed": len(errors), "before": before, "start": start,
            "both": both, "contract": contract, "seconds": seconds, "errors": said or "-"}


# --- triggers ----------------------------------------------------------------

TRIGGER_SIDES = ["pgxc", "pgxc, control", "pgroll", "pgroll, control"]
WORK = ["INSERT", "UPDATE of v", "UPDATE of pad"]


def trigger_cost(conn, program, side):
    """Seconds of bulk statements on a table whose migration is between
    backfilled and contracted, and of the same without triggers."""
    copy = Copy(conn, template(conn, "base_0", 0))
    inside = copy.inside
    extra = ("", "")
    if side.startswith("pgroll"):
        Pgroll(program, copy.name).start()
        if side.endswith("control"):
            inside.query("ALTER TABLE acc DISABLE TRIGGER USER")
            extra = (", _pgroll_new_v, _pgroll_needs_backfill", f", {VALUE}, false")
    elif side == "pgxc":
        until_ready(inside, int(inside.value(f"SELECT pgxc.start_type_change('acc', 'v', 'bigint'{DUTY})")), 600)
    else:
        inside.query("ALTER TABLE acc ADD shadow bigint")
        extra = (", shadow", f", {VALUE}")
    statements = [
        f"INSERT INTO acc (id, v, pad{extra[0]}) SELECT g, {VALUE}, {PAD}{extra[1]} FROM generate_series(1, {TRIGGER_ROWS}) g",
        "UPDATE acc SET v = v + 1", "UPDATE acc SET pad = reverse(pad)"]
    result = {}
    for what, sql in zip(WORK, statements):
        conn.query("CHECKPOINT")
        begin = time.monotonic()
        inside.query(sql)
        result[what] = time.monotonic() - begin
        inside.query("VACUUM (ANALYZE) acc")
    copy.drop()
    return result


# --- the report ----------------------------------------------------------------

def part_whole(conn, program):
    results = {}
    for number, rows in enumerate(SIZES):
        sides = ["pgxc", "pgroll"] + (["pgroll, batches of 10 000"] if number == 0 else [])
        for run in range(RUNS):
            for side in sides if run % 2 == 0 else reversed(sides):
                say(f"{rows} rows, run {run + 1} of {RUNS}: {side}")
                results.setdefault((rows, side), []).append(whole(conn, program, side, rows))
    header = ["rows", "side", "run", "s", "to migrated", "contract", "heap MB before", "heap MB after", "index MB before", "index MB after",
              "growth MB", "WAL B/row", "note"]
    raw = [(rows, side, number, r.seconds, r.start, r.contract, r.before[0] / MB, r.after[0] / MB, r.before[1] / MB, r.after[1] / MB,
            r.added / MB, r.wal_per_row, r.note) for (rows, side), runs in results.items() for number, r in enumerate(runs, 1)]
    write_csv("pgroll", header, raw)
    print("### int to bigint of a plain column, start to contracted: every run")
    table(header, raw)

    def middle(rows, side, what):
        return median([getattr(r, what) for r in results[rows, side]])

    rows_out = []
    for rows in SIZES:
        speed = ratio(middle(rows, "pgroll", "seconds"), middle(rows, "pgxc", "seconds"))
        rows_out.append(("time, pgroll ÷ pgxc", rows, speed, "≥ 2", met(speed, 2, True)))
        growth = ratio(middle(rows, "pgxc", "added"), middle(rows, "pgroll", "added"))
        rows_out.append(("growth in bytes, pgxc ÷ pgroll", rows, growth, "≤ 0.3", met(growth, 0.3, False)))
        rows_out.append(("WAL, pgxc ÷ pgroll", rows, ratio(middle(rows, "pgxc", "wal"), middle(rows, "pgroll", "wal")), "-", "-"))
        if (rows, "pgroll, batches of 10 000") in results:
            other = middle(rows, "pgroll, batches of 10 000", "seconds")
            rows_out.append(("time, pgroll with batches of 10 000 ÷ pgxc", rows, ratio(other, middle(rows, "pgxc", "seconds")), "-", "-"))
    return rows_out


def part_load(conn, program):
    results = []
    for run in range(LOAD_RUNS):
        for kind in KINDS:
            for side in ("pgxc", "pgroll") if run % 2 == 0 else ("pgroll", "pgxc"):
                say(f"under load, run {run + 1} of {LOAD_RUNS}: {side}, {kind}")
                results.append({"run": run + 1, **under_load(conn, program, side, kind)})
    header = ["column", "side", "run", "statements", "failed", "of these before", "start and migrate", "both versions", "contract", "s to migrated", "errors"]
    raw = [(r["kind"], r["side"], r["run"], r["statements"], r["failed"], r["before"], r["start"], r["both"], r["contract"], r["seconds"], r["errors"])
           for r in results]
    write_csv("pgroll_failures", header, raw)
    print(f"### Failed statements of 8 clients, {LOAD_ROWS} rows")
    table(header, raw)
    rows_out = []
    for kind in KINDS:
        for side in ("pgxc", "pgroll"):
            failed = sum(r["failed"] for r in results if (r["kind"], r["side"]) == (kind, side))
            mine = side == "pgxc"
            rows_out.append((f"failed statements, {side}, column {kind}, all {LOAD_RUNS} runs together", LOAD_ROWS, failed, "0" if mine else "-",
                             met(failed, 0, False) if mine else "-"))
    return rows_out


def part_triggers(conn, program):
    times = {}
    for run in range(RUNS):
        turn = run % len(TRIGGER_SIDES)
        for side in TRIGGER_SIDES[turn:] + TRIGGER_SIDES[:turn]:
            say(f"triggers, run {run + 1} of {RUNS}: {side}")
            for what, seconds in trigger_cost(conn, program, side).items():
                times.setdefault((what, side), []).append(seconds)
    medians = {key: median(runs) for key, runs in times.items()}
    write_csv("pgroll_triggers", ["work", "side", "run", "s"],
              [(*key, number, seconds) for key, runs in times.items() for number, seconds in enumerate(runs, 1)])

    def overhead(what, side):
        return (medians[what, side] - medians[what, side + ", control"]) / TRIGGER_ROWS * 1e6

    print(f"### Triggers: bulk statements over {TRIGGER_ROWS} rows while the migration is open")
    table(["work", "side", "s, each run", "median", "overhead, µs/row"], [
        (what, side, ", ".join(f"{seconds:.2f}" for seconds in times[what, side]), medians[what, side],
         None if side.endswith("control") else overhead(what, side)) for what in WORK for side in TRIGGER_SIDES])
    rows_out = []
    for what in WORK:
        # An overhead below nothing drowns in the noise.
        value = ratio(max(overhead(what, "pgxc"), 0.0), overhead(what, "pgroll")) if overhead(what, "pgroll") > 0 else None
        rows_out.append((f"trigger overhead per row, {what}, pgxc ÷ pgroll", TRIGGER_ROWS, value, "≤ 0.2", met(value, 0.2, False)))
    return rows_out


def body(conn):
    program, origin = find_pgroll()
    log_settings(conn)
    headline(conn, "int to bigint, against pgroll", f"""
Table `acc (id integer primary key, v integer, pad text)`, about 120 bytes a row, fillfactor 100, autovacuum off for the table. Column v becomes bigint. Each measurement has a database of its own, a
file copy of the same template, vacuumed, analysed and checkpointed; pgxc is preloaded, and its extension created, on both sides. The sides take turns.

- pgroll: {origin}. `pgroll start` (batches of 1000 rows unless said otherwise, no delay, which are its defaults; lock timeout at its default of 500 ms) until it returns, then `pgroll complete`. One operation:
  alter_column v to bigint, up `CAST(v AS bigint)`, down `CAST(v AS integer)`. `init` and `baseline` are not measured. It commits each batch as the server is configured (`synchronous_commit` on).
- pgxc: `start_type_change('acc', 'v', 'bigint', max_duty => 1)`, wait for `ready`, `contract`. That includes the verification of every row, which pgroll does not make. Its chunks commit asynchronously, as they always do.
- Growth: bytes of heap and indexes (main fork) after, less those before.
- Failed statements: 8 clients (pgbench, `-M extended`) insert, update and read, each a process that connects again after an error, which takes a moment, so the numbers of failures are lower bounds; counted in the server's log.
  Old code before and during start; then half of the clients, then all of them are replaced by new code; then contract or complete. pgxc's `max_duty` is at its default here; its controller yields to the application, so the times of this part are not to be compared.
  New code of pgroll has `search_path = public_02_bigint`, old code uses the table itself.
- Triggers: bulk statements on a table whose migration is open (started while the table was empty); the client is old code. The control of pgroll is the same table with its triggers disabled, that of pgxc a table with a bigint column instead of
  the migration; the INSERT of a control gives the extra columns, so a row has the same width with and without triggers.

In fairness: pgroll serves both versions of the schema through views, with any expression as up and down, needs no extension, and runs on managed servers. pgxc's part here is a cast that needs no SQL in the trigger.""")
    rows = part_whole(conn, program) + part_load(conn, program) + part_triggers(conn, program)
    print("### pgxc and pgroll (medians)")
    table(["quantity", "rows", "measured", "reach", "met"], rows)


main(body)
