/*
 * init.c
 *		_PG_init: an ordered list.
 */
#include "postgres.h"

#include "fmgr.h"

#include "backfill/chunk_statement.h"
#include "backfill/database_hold.h"
#include "backfill/launcher.h"
#include "backfill/leaf_tables.h"
#include "core/compat.h"
#include "core/own_statement.h"
#include "core/settings.h"
#include "core/shared_state.h"
#include "core/wakeup.h"
#include "dual_write/config_cache.h"
#include "dual_write/update_projection.h"
#include "guard/access_hook.h"
#include "guard/hook.h"
#include "guard/open_migrations.h"
#include "guard/rejections.h"
#include "migration/build.h"

PGXC_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	pgxc_settings_init();
	pgxc_shared_state_init();
	pgxc_wakeup_init();
	pgxc_own_statement_init();
	pgxc_leaf_tables_init();
	pgxc_chunk_statement_init();
	pgxc_dual_write_init();
	pgxc_update_projection_init();
	pgxc_build_init();
	pgxc_open_migrations_init();
	pgxc_rejections_init();
	pgxc_access_hook_init();
	pgxc_database_hold_init();
	pgxc_guard_hook_init();
	pgxc_launcher_init();
}
