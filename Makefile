EXTENSION = pgxc
MODULE_big = pgxc
DATA = pgxc--1.0.sql

OBJS = \
	src/init.o \
	src/core/error_capture.o \
	src/core/event_log.o \
	src/core/extension.o \
	src/core/migration_row.o \
	src/core/nonatomic.o \
	src/core/options.o \
	src/core/settings.o \
	src/core/shared_state.o \
	src/core/sql_runner.o \
	src/core/state_machine.o \
	src/core/transition.o \
	src/core/wakeup.o \
	src/backfill/assignments.o \
	src/backfill/chunk.o \
	src/backfill/chunk_statement.o \
	src/backfill/database_hold.o \
	src/backfill/drive.o \
	src/backfill/drive_error.o \
	src/backfill/drive_pace.o \
	src/backfill/estimate.o \
	src/backfill/launcher.o \
	src/backfill/leaf_tables.o \
	src/backfill/local_signals.o \
	src/backfill/pacing.o \
	src/backfill/preflight.o \
	src/backfill/replication_signals.o \
	src/backfill/retry.o \
	src/backfill/row_errors.o \
	src/backfill/run.o \
	src/backfill/signals.o \
	src/backfill/start_backfill.o \
	src/backfill/revisit.o \
	src/backfill/stripe.o \
	src/backfill/throttle_function.o \
	src/backfill/verify.o \
	src/backfill/worker.o \
	src/migration/alter.o \
	src/migration/control.o \
	src/migration/wait.o \
	src/status/live_workers.o

PGXC_VERSION = $(shell sed -n "s/^default_version *= *.\(.*\)./\1/p" pgxc.control)
PG_CPPFLAGS = -I$(srcdir)/src -DPGXC_VERSION=\"$(PGXC_VERSION)\"

# All three kinds of tests start servers of their own; dev/test.sh writes
# pgxc.conf, which makes those servers find this build without an install.
NO_INSTALLCHECK = 1
EXTRA_CLEAN = pgxc.conf tmp_check tmp_check_iso

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# PGXS knows no dependencies on headers.
$(OBJS): $(wildcard src/*/*.h) pgxc.control
