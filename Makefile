EXTENSION = pgxc
MODULE_big = pgxc
DATA = pgxc--1.0.sql

OBJS = \
	src/init.o \
	src/core/error_capture.o \
	src/core/event_log.o \
	src/core/ddl.o \
	src/core/extension.o \
	src/core/fingerprint.o \
	src/core/given_text.o \
	src/core/lock_queue.o \
	src/core/migration_row.o \
	src/core/nonatomic.o \
	src/core/options.o \
	src/core/own_statement.o \
	src/core/settings.o \
	src/core/shared_state.o \
	src/core/sql_runner.o \
	src/core/state_machine.o \
	src/core/toplevel.o \
	src/core/transition.o \
	src/core/wakeup.o \
	src/backfill/assignments.o \
	src/backfill/chunk.o \
	src/backfill/chunk_functions.o \
	src/backfill/chunk_statement.o \
	src/backfill/database_hold.o \
	src/backfill/drive.o \
	src/backfill/drive_error.o \
	src/backfill/drive_pace.o \
	src/backfill/drive_statement.o \
	src/backfill/estimate.o \
	src/backfill/launcher.o \
	src/backfill/leaf_tables.o \
	src/backfill/local_signals.o \
	src/backfill/pacing.o \
	src/backfill/preflight.o \
	src/backfill/registration.o \
	src/backfill/replication_signals.o \
	src/backfill/retry.o \
	src/backfill/row_errors.o \
	src/backfill/run.o \
	src/backfill/signals.o \
	src/backfill/start_backfill.o \
	src/backfill/revisit.o \
	src/backfill/stripe.o \
	src/backfill/throttle_function.o \
	src/backfill/old_snapshots.o \
	src/backfill/verify.o \
	src/backfill/worker.o \
	src/dual_write/arbiters.o \
	src/dual_write/carry.o \
	src/dual_write/config.o \
	src/dual_write/config_cache.o \
	src/dual_write/environment.o \
	src/dual_write/never_raises.o \
	src/dual_write/subquery.o \
	src/dual_write/transform.o \
	src/dual_write/trigger.o \
	src/dual_write/unconverted.o \
	src/dual_write/update_projection.o \
	src/dual_write/way_back.o \
	src/guard/access_hook.o \
	src/guard/added_column.o \
	src/guard/alter_column.o \
	src/guard/alter_constraint.o \
	src/guard/alter_not_null.o \
	src/guard/alter_names.o \
	src/guard/alter_partition.o \
	src/guard/alter_rewrite.o \
	src/guard/alter_rules.o \
	src/guard/alter_storage.o \
	src/guard/alter_type.o \
	src/guard/analyse_alter_table.o \
	src/guard/analyse_create_table.o \
	src/guard/analyse_drop.o \
	src/guard/analyse_function.o \
	src/guard/analyse_index.o \
	src/guard/analyse_maintenance.o \
	src/guard/analyse_object.o \
	src/guard/analyse_owner.o \
	src/guard/analyse_publication.o \
	src/guard/analyse_rename.o \
	src/guard/analyse_sequence.o \
	src/guard/analyse_trigger.o \
	src/guard/analyse_type.o \
	src/guard/breaks.o \
	src/guard/check_ddl.o \
	src/guard/column_dependents.o \
	src/guard/constraint_advice.o \
	src/guard/constraint_catalog.o \
	src/guard/constraint_def.o \
	src/guard/ddl_analysis.o \
	src/guard/drop_closure.o \
	src/guard/drop_locks.o \
	src/guard/effect.o \
	src/guard/fk_recheck.o \
	src/guard/foreign_key.o \
	src/guard/hook.o \
	src/guard/index_shape.o \
	src/guard/index_text.o \
	src/guard/judge.o \
	src/guard/lock_table.o \
	src/guard/named_object.o \
	src/guard/not_null_proof.o \
	src/guard/open_migrations.o \
	src/guard/partition_advice.o \
	src/guard/partition_pieces.o \
	src/guard/partition_scan.o \
	src/guard/pending.o \
	src/guard/polite_locks.o \
	src/guard/query_relations.o \
	src/guard/raw_relations.o \
	src/guard/referenced_table.o \
	src/guard/refresh.o \
	src/guard/reindex.o \
	src/guard/rejections.o \
	src/guard/relation_list.o \
	src/guard/rewrite_net.o \
	src/guard/statement_text.o \
	src/guard/truncate.o \
	src/guard/vacuum.o \
	src/migration/alter.o \
	src/migration/build.o \
	src/migration/build_constraint.o \
	src/migration/build_index.o \
	src/migration/carry_over.o \
	src/migration/checklist.o \
	src/migration/column_traits.o \
	src/migration/contract.o \
	src/migration/control.o \
	src/migration/dependents.o \
	src/migration/expand.o \
	src/migration/expand_only.o \
	src/migration/map_columns.o \
	src/migration/mentions.o \
	src/migration/not_null.o \
	src/migration/piece.o \
	src/migration/plan.o \
	src/migration/register.o \
	src/migration/saved_objects.o \
	src/migration/shape.o \
	src/migration/start_dual_write.o \
	src/migration/swap.o \
	src/migration/view_query.o \
	src/migration/views.o \
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
