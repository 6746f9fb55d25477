#!/usr/bin/env python3
"""pgxc.check_ddl and squawk, both against what the server did.

squawk.py --squawk PROGRAM --pg-version N TRUTH.json

TRUTH.json is what t/410_ddl_truth.pl writes: a line for each form of the
corpus, with what check_ddl said and what the statement did.  bench/squawk.sh
makes it and calls this.

A statement blocks if, on a relation with data that was there before it and that
others can see, it held a lock that conflicts with ROW EXCLUSIVE (SHARE and stronger) and did work
there that grows with the data: it read rows, or wrote a file anew that
is larger than an empty one.  TRUNCATE and DROP lock, but do no such work.
"""
import argparse
import collections
import json
import re
import subprocess
import sys

CONFLICTS = {"ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"}
SCAN, REWRITE, INDEX_BUILD = 1, 2, 4
# The files of an empty table, and of an empty index, are not larger.
EMPTY = {False: 8192, True: 3 * 8192}

# What squawk's rules say themselves is a scan, a rewrite or an index build
# while writes wait.
WORK_RULES = {
    "adding-field-with-default",
    "adding-foreign-key-constraint",
    "adding-not-nullable-field",
    "adding-serial-primary-key-field",
    "ban-alter-domain-with-add-constraint",
    "changing-column-type",
    "constraint-missing-not-valid",
    "disallowed-unique-constraint",
    "require-concurrent-index-creation",
    "require-concurrent-reindex",
}
# And those that warn of the lock alone.
LOCK_RULES = {
    "require-concurrent-index-deletion",
    "require-concurrent-partition-detach",
    "require-concurrent-partition-attach",
}


def blocks(form):
    """Did the statement, by the definition above?"""
    if form["form"]["sql"].startswith("TRUNCATE"):
        return False  # the files of some empty indexes have several pages
    return any(
        row["lock"] in CONFLICTS
        and not row["temp"]
        and (
            row["work"] & SCAN
            or row["work"] & REWRITE
            and (row["bytes"] or 0) > EMPTY[row["kind"] == "i"]
        )
        for row in form["was"]
    )


def squawk_rules(program, pg_version, sql):
    """The rules that the statement violates, in a file of its own."""
    done = subprocess.run(
        [program, "--reporter", "json", "--pg-version", pg_version, "--stdin-filepath", "form.sql"],
        input=sql + ";\n",
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        return {entry["rule_name"] for entry in json.loads(done.stdout)}
    except json.JSONDecodeError:
        sys.exit(f"squawk says of {sql}: {done.stdout}{done.stderr}")


class Tool:
    """One side: what it refused, rightly or not."""

    def __init__(self, name):
        self.name = name
        self.right, self.false, self.missed = [], [], []

    def count(self, sql, blocking, refused):
        if refused:
            (self.right if blocking else self.false).append(sql)
        elif blocking:
            self.missed.append(sql)

    def row(self, total):
        blocking = len(self.right) + len(self.missed)
        return (
            f"| {self.name} | {len(self.right)} of {blocking} | {len(self.missed)} "
            f"| {len(self.false)} of {total - blocking} |"
        )


def examples(title, forms, most):
    if not forms:
        return
    print(f"\n{title} ({len(forms)}):\n")
    for sql in forms[:most]:
        print(f"- `{re.sub(' +', ' ', sql)}`")
    if len(forms) > most:
        print(f"- and {len(forms) - most} more")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("truth")
    parser.add_argument("--squawk", required=True)
    parser.add_argument("--pg-version", required=True)
    parser.add_argument("--examples", type=int, default=12)
    args = parser.parse_args()

    tools = [
        Tool("`pgxc.check_ddl`"),
        Tool("squawk, rules about work under a lock"),
        Tool("squawk, these and its rules about locks alone"),
    ]
    rules = collections.Counter()
    total = syntax_errors = 0
    with open(args.truth, encoding="utf-8") as file:
        forms = [json.loads(line) for line in file]
    for form in forms:
        sql = form["form"]["sql"]
        if form["form"].get("error") or form.get("was") is None:
            continue  # the server refuses it
        if form["form"].get("after"):
            continue  # not a text that a linter could be given
        total += 1
        blocking = blocks(form)
        said = form["said"] if isinstance(form["said"], list) else []
        broken = squawk_rules(args.squawk, args.pg_version, sql)
        rules.update(broken)
        syntax_errors += "syntax-error" in broken
        tools[0].count(sql, blocking, any(row["would_block"] for row in said))
        tools[1].count(sql, blocking, bool(broken & WORK_RULES))
        tools[2].count(sql, blocking, bool(broken & (WORK_RULES | LOCK_RULES)))

    version = subprocess.run([args.squawk, "--version"], capture_output=True, text=True, check=True)
    print(f"{total} statements of the corpus ran on PostgreSQL {args.pg_version}; "
          f"{version.stdout.strip()} with its default rules, each statement in a file of its own.\n")
    print("| tool | blocking statements refused | missed | harmless statements refused |")
    print("|---|---|---|---|")
    for tool in tools:
        print(tool.row(total))
    examples("Missed by check_ddl", tools[0].missed, args.examples)
    examples("Harmless, but refused by check_ddl", tools[0].false, args.examples)
    examples("Missed by squawk", tools[1].missed, args.examples)
    examples("Harmless, but refused by squawk", tools[1].false, args.examples)
    print("\nsquawk's rules that spoke, and for how many statements: "
          + ", ".join(f"{name} {n}" + ("" if name in WORK_RULES else " (lock)" if name in LOCK_RULES
                                       else " (not counted)")
                      for name, n in rules.most_common()))
    if syntax_errors:
        print(f"\nsquawk could not read {syntax_errors} statements.")


if __name__ == "__main__":
    main()
