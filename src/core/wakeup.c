/*
 * wakeup.c
 *		Telling the workers at COMMIT.
 *
 * A worker started earlier would not see what the transaction wrote.  A
 * subtransaction that rolls back leaves the wish standing: that costs one
 * look, and saves the bookkeeping.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"

#include "core/shared_state.h"
#include "core/wakeup.h"

static bool wakeup_pending = false;

static void
wakeup_xact_callback(XactEvent event, void *arg)
{
	if (!wakeup_pending)
		return;

	switch (event)
	{
		case XACT_EVENT_PRE_PREPARE:
			/* Nothing would tell the workers at COMMIT PREPARED. */
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot PREPARE a transaction that started or "
							"changed a migration")));
			break;
		case XACT_EVENT_COMMIT:
			wakeup_pending = false;
			if (pgxc_shared != NULL)
			{
				/* A worker looks for more work itself before it ends. */
				if (!pgxc_am_worker)
					(void) pgxc_database_want(MyDatabaseId, 0);
				pgxc_wake_workers(MyDatabaseId);
				ConditionVariableBroadcast(&pgxc_shared->changed);
			}
			break;
		case XACT_EVENT_ABORT:
			wakeup_pending = false;
			break;
		default:
			break;
	}
}

void
pgxc_wakeup_init(void)
{
	RegisterXactCallback(wakeup_xact_callback, NULL);
}

/*
 * When the current transaction commits, have the launcher and the workers of
 * this database look at the migrations, and wake those who wait for one.
 */
void
pgxc_wakeup_at_commit(void)
{
	wakeup_pending = true;
}
