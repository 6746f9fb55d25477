/*
 * alter_rules.c
 *		Subcommands that switch triggers, rules and row security on and off.
 *
 * No work is in them, but what they let pass, or take out, may be what a
 * migration lives on.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "rewrite/rewriteDefine.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "guard/analysis.h"

/* Which triggers, and what becomes of them. */
typedef struct TriggerSwitch
{
	const char *name; /* NULL: all */
	Oid parent;       /* those that were cloned from this one */
	bool skip_internal;
	bool recurse;
	char state; /* as in tgenabled */
	LOCKMODE lock;
} TriggerSwitch;

static const struct
{
	AlterTableType subtype;
	char state;
	bool all;
	bool skip_internal;
} trigger_switches[] = {
	{ AT_EnableTrig, TRIGGER_FIRES_ON_ORIGIN, false, false },
	{ AT_EnableAlwaysTrig, TRIGGER_FIRES_ALWAYS, false, false },
	{ AT_EnableReplicaTrig, TRIGGER_FIRES_ON_REPLICA, false, false },
	{ AT_EnableTrigAll, TRIGGER_FIRES_ON_ORIGIN, true, false },
	{ AT_EnableTrigUser, TRIGGER_FIRES_ON_ORIGIN, true, true },
	{ AT_DisableTrig, TRIGGER_DISABLED, false, false },
	{ AT_DisableTrigAll, TRIGGER_DISABLED, true, false },
	{ AT_DisableTrigUser, TRIGGER_DISABLED, true, true },
};

static const struct
{
	AlterTableType subtype;
	char state;
} rule_switches[] = {
	{ AT_EnableRule, RULE_FIRES_ON_ORIGIN },
	{ AT_EnableAlwaysRule, RULE_FIRES_ALWAYS },
	{ AT_EnableReplicaRule, RULE_FIRES_ON_REPLICA },
	{ AT_DisableRule, RULE_DISABLED },
};

/* After the change, is there a session in which it fires no more? */
static bool
fires_less(char before, char after)
{
	return before != after && before != TRIGGER_DISABLED &&
		   after != TRIGGER_FIRES_ALWAYS;
}

static void switch_triggers(PgxcAnalysis *a, Relation rel,
							const TriggerSwitch *change);

/* Row triggers of a partitioned table have clones on its partitions. */
static void
switch_clones(PgxcAnalysis *a, Relation rel, Oid parent,
			  const TriggerSwitch *change)
{
	TriggerSwitch clone = *change;
	ListCell *lc;

	clone.name = NULL;
	clone.parent = parent;
	foreach (lc, find_inheritance_children(RelationGetRelid(rel), NoLock))
	{
		Relation part = relation_open(lfirst_oid(lc), AccessShareLock);

		pgxc_touch(a, lfirst_oid(lc), change->lock);
		switch_triggers(a, part, &clone);
		relation_close(part, NoLock);
	}
}

static void
switch_triggers(PgxcAnalysis *a, Relation rel, const TriggerSwitch *change)
{
	Relation catalog = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&key, Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(RelationGetRelid(rel)));
	scan = systable_beginscan(catalog, TriggerRelidNameIndexId, true, NULL, 1,
							  &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_trigger trigger = (Form_pg_trigger) GETSTRUCT(tuple);

		if (change->name && strcmp(NameStr(trigger->tgname), change->name) != 0)
			continue;
		if (OidIsValid(change->parent) && trigger->tgparentid != change->parent)
			continue;
		if (change->skip_internal && trigger->tgisinternal)
			continue;
		if (fires_less(trigger->tgenabled, change->state))
			pgxc_change(a, PGXC_ACTION_DISABLE, TriggerRelationId, trigger->oid,
						0);
		if (change->recurse &&
			rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE &&
			TRIGGER_FOR_ROW(trigger->tgtype))
			switch_clones(a, rel, trigger->oid, change);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
}

/* ENABLE and DISABLE TRIGGER; false: it is not about triggers. */
static bool
alter_triggers(PgxcAnalysis *a, Relation rel, AlterTableCmd *cmd,
			   AlterTableStmt *stmt, LOCKMODE lock)
{
	for (int i = 0; i < lengthof(trigger_switches); i++)
	{
		TriggerSwitch change = { 0 };

		if (trigger_switches[i].subtype != cmd->subtype)
			continue;
		change.name = trigger_switches[i].all ? NULL : cmd->name;
		change.skip_internal = trigger_switches[i].skip_internal;
		change.state = trigger_switches[i].state;
		change.recurse = stmt->relation->inh;
		change.lock = lock;
		switch_triggers(a, rel, &change);
		return true;
	}
	return false;
}

/* ENABLE and DISABLE RULE; false: it is not about rules. */
static bool
alter_rule(PgxcAnalysis *a, Relation rel, AlterTableCmd *cmd)
{
	for (int i = 0; i < lengthof(rule_switches); i++)
	{
		HeapTuple tuple;
		Form_pg_rewrite rule;

		if (rule_switches[i].subtype != cmd->subtype)
			continue;
		tuple = SearchSysCache2(RULERELNAME,
								ObjectIdGetDatum(RelationGetRelid(rel)),
								PointerGetDatum(cmd->name));
		if (!HeapTupleIsValid(tuple))
			return true;
		rule = (Form_pg_rewrite) GETSTRUCT(tuple);
		if (fires_less(rule->ev_enabled, rule_switches[i].state))
			pgxc_change(a, PGXC_ACTION_DISABLE, RewriteRelationId, rule->oid,
						0);
		/* Where it did not fire before, it may now divert updates. */
		if (rule->ev_enabled != rule_switches[i].state &&
			rule_switches[i].state != RULE_DISABLED &&
			rule->ev_type == '0' + CMD_UPDATE)
			pgxc_change(a, PGXC_ACTION_BYPASS, RelationRelationId,
						RelationGetRelid(rel), 0)
				->what = psprintf("rule \"%s\"", cmd->name);
		ReleaseSysCache(tuple);
		return true;
	}
	return false;
}

/* Row security hides rows from those who do not own the table, or from all. */
static bool
alter_row_security(PgxcAnalysis *a, Relation rel, AlterTableCmd *cmd)
{
	switch (cmd->subtype)
	{
		case AT_EnableRowSecurity:
			if (!rel->rd_rel->relrowsecurity)
				pgxc_change(a, PGXC_ACTION_CONSTRAIN, RelationRelationId,
							RelationGetRelid(rel), 0);
			return true;
		case AT_ForceRowSecurity:
			if (!rel->rd_rel->relforcerowsecurity)
				pgxc_change(a, PGXC_ACTION_BYPASS, RelationRelationId,
							RelationGetRelid(rel), 0)
					->what = pstrdup("row security for the table's owner");
			return true;
		case AT_DisableRowSecurity:
		case AT_NoForceRowSecurity:
			return true;
		default:
			return false;
	}
}

/*
 * One subcommand of the family; false: it is of another one.
 */
bool
pgxc_alter_rules(PgxcAnalysis *a, Relation rel, AlterTableCmd *cmd,
				 AlterTableStmt *stmt, LOCKMODE lock)
{
	return alter_triggers(a, rel, cmd, stmt, lock) || alter_rule(a, rel, cmd) ||
		   alter_row_security(a, rel, cmd);
}
