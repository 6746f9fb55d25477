"""Migrations with two shapes (rename, type_change, transform), and the
application beside them: what the benchmarks of these kinds share."""
import itertools
import os
import re
import threading
import time

from benchlib import BenchError, Conn, Pgbench, explain_stop, need, percentile, where_is

POLL = 0.02
# `blocked` is not among them: it resumes by itself.
STANDS_STILL = ("paused", "attention", "failed")

_named = itertools.count(1)


def name():
    """The argument that gives a migration a name of its own: the default name
    says table and columns, and these are the same in every run."""
    return f"name => 'bench_{os.getpid()}_{next(_named)}'"


def until_ready(conn, migration, limit=4 * 3600):
    """Wait for state `ready`; the times at which a new state or step was first
    seen, as (seconds since the call, what)."""
    begin, last, seen = time.monotonic(), None, []
    while True:
        where = where_is(conn, migration)
        now = time.monotonic() - begin
        phase, state, step = where
        if where != last:
            seen.append((now, state if state == "ready" else step))
            last = where
        if state == "ready":
            return seen
        if phase != "migrate" or state in STANDS_STILL:
            raise BenchError(f"migration {migration} stopped: {explain_stop(conn, migration)}")
        if now > limit:
            raise BenchError(f"migration {migration} is not ready after {limit} s: {explain_stop(conn, migration)}")
        time.sleep(POLL)


class InBackground(threading.Thread):
    """One statement in a session of its own; when it began and ended."""

    def __init__(self, sql, dbname="bench"):
        super().__init__(daemon=True)
        self.conn, self.sql = Conn(dbname, app="pgxc_bench_dba"), sql
        self.value = self.error = self.begin = self.end = None
        self.start()

    def run(self):
        self.begin = time.time()
        try:
            self.value = self.conn.value(self.sql)
        except Exception as error:  # result() raises it
            self.error = error
        self.end = time.time()

    def result(self, limit=600):
        self.join(limit)
        if self.is_alive():
            raise BenchError(f"not over after {limit} s: {self.sql}")
        self.conn.close()
        if self.error:
            raise BenchError(f"{self.sql}: {self.error}")
        return self.value


class IdleInTransaction:
    """A session that has read the table and neither goes on nor ends."""

    def __init__(self, table, dbname="bench"):
        self.conn = Conn(dbname, app="pgxc_bench_holder")
        self.conn.query("BEGIN")
        self.conn.query(f"SELECT 1 FROM {table} LIMIT 1")

    def release(self):
        self.conn.query("COMMIT")
        self.conn.close()


class ServerLog:
    """What the server has written since this object was made.  Needs
    log_settings(), and for the waits LOG_WAITS in the application."""

    def __init__(self):
        self.path = need("PGXC_BENCH_SERVER") + "/server.log"
        with open(self.path, "rb") as log:
            self.at = log.seek(0, 2)

    def text(self):
        with open(self.path, encoding="utf-8", errors="replace") as log:
            log.seek(self.at)
            return log.read()

    def errors(self):
        """Failed statements of the application: their messages."""
        return re.findall(r"app=pgxc_bench_app (?:ERROR|PANIC): +(.*)", self.text())

    def table_waits(self, begin, end):
        """How long (ms) statements of the application waited for a lock on a
        table: those waits that ended in begin..end and lasted for more than
        20 ms.  The server itself measured them."""
        found = re.findall(r"^([0-9.]+) app=pgxc_bench_app LOG: +process \d+ acquired \w+ on relation \d+ .* after ([0-9.]+) ms",
                           self.text(), re.MULTILINE)
        return [float(ms) for stamp, ms in found if begin <= float(stamp) < end]


# Only for the application's sessions: deadlock_timeout means something to pgxc.
LOG_WAITS = "-c log_lock_waits=on -c deadlock_timeout=20ms"


def log_settings(conn):
    """Each line of the log says when and who."""
    conn.query("ALTER SYSTEM SET log_line_prefix = '%n app=%a '")
    conn.query("SELECT pg_reload_conf()")


class Application:
    """Some pgbench processes that come and go, as old and new versions of an
    application do while it is rolled over."""

    def __init__(self, dbname="bench"):
        self.dbname, self.running, self.transactions, self.aborted = dbname, {}, [], 0

    def begin(self, who, scripts, clients):
        self.running[who] = Pgbench(scripts, 7200, clients=clients, dbname=self.dbname, options=LOG_WAITS)

    def end(self, who):
        bench = self.running.pop(who)
        # One that has lost all its clients has ended by itself.
        self.transactions += bench.finish(stop=bench.process.poll() is None, tolerate=True)
        self.aborted += bench.aborted()

    def end_all(self):
        for who in list(self.running):
            self.end(who)

    def window(self, begin, end):
        """Number, p99 and longest (ms) of the statements that ended in begin..end."""
        chosen = sorted(t[1] for t in self.transactions if begin <= t[0] < end)
        return len(chosen), percentile(chosen, 99), chosen[-1] if chosen else None


class Restarting(threading.Thread):
    """Clients that connect again after an error, as an application does:
    pgbench ends a client at its first error, so each client is a process."""

    def __init__(self, dbname, groups):
        """groups: {who: (scripts, clients, PGOPTIONS)}; begin() starts one."""
        super().__init__(daemon=True)
        self.dbname, self.groups = dbname, groups
        self.lock, self.ending = threading.Lock(), threading.Event()
        self.running, self.transactions, self.error = {}, 0, None
        self.start()

    def _launch(self, who):
        scripts, _, options = self.groups[who]
        return Pgbench(scripts, 7200, clients=1, dbname=self.dbname, options=options)

    def _collect(self, bench):
        self.transactions += len(bench.finish(stop=bench.process.poll() is None, tolerate=True))

    def begin(self, who):
        with self.lock:
            self.running[who] = [self._launch(who) for _ in range(self.groups[who][1])]

    def end(self, who):
        with self.lock:
            for bench in self.running.pop(who):
                self._collect(bench)

    def run(self):
        try:
            while not self.ending.wait(0.02):
                with self.lock:
                    self._replace()
        except Exception as error:  # for whoever looks at the end
            self.error = error

    def _replace(self):
        for who, benches in self.running.items():
            for number, bench in enumerate(benches):
                if bench.process.poll() is not None:
                    self._collect(bench)
                    benches[number] = self._launch(who)

    def end_all(self):
        self.ending.set()
        self.join()
        for who in list(self.running):
            self.end(who)


def oldest_statement(conn):
    """How long (ms) the longest running statement of the application has run."""
    return float(conn.value(
        "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - query_start)) * 1000, 0) "
        "FROM pg_stat_activity WHERE application_name = 'pgxc_bench_app' AND state = 'active'"))


__all__ = ["Application", "IdleInTransaction", "InBackground", "Restarting", "ServerLog", "log_settings", "name",
           "oldest_statement", "until_ready"]
