/*
 * analyse_trigger.c
 *		CREATE TRIGGER, CREATE RULE, CREATE and ALTER POLICY: what changes the
 *		rows on their way into a table or out of it.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_trigger.h"
#include "commands/policy.h"
#include "commands/trigger.h"
#include "rewrite/rewriteSupport.h"
#include "utils/lsyscache.h"

#include "core/compat.h"
#include "guard/named_object.h"
#include "guard/object_family.h"
#include "guard/raw_relations.h"

/*
 * Only a BEFORE ROW trigger is named plainly: it may change what the triggers
 * before it have seen.
 */
static char *
trigger_words(const CreateTrigStmt *stmt)
{
	if (stmt->row && stmt->timing == TRIGGER_TYPE_BEFORE)
		return psprintf("trigger \"%s\"", stmt->trigname);
	if (stmt->row)
		return psprintf("%s trigger \"%s\"",
						stmt->timing == TRIGGER_TYPE_INSTEAD ? "instead of"
															 : "after",
						stmt->trigname);
	return psprintf("statement trigger \"%s\"", stmt->trigname);
}

static void
create_trigger(PgxcAnalysis *a, CreateTrigStmt *stmt)
{
	Oid relid = pgxc_resolve(a, stmt->relation);
	Oid trigger;
	ListCell *lc;

	if (!OidIsValid(relid))
		return;
	foreach (lc,
			 pgxc_touch_inheritors(a, relid,
								   stmt->row && get_rel_relkind(relid) ==
													RELKIND_PARTITIONED_TABLE,
								   ShareRowExclusiveLock))
	{
		trigger = get_trigger_oid(lfirst_oid(lc), stmt->trigname, true);
		if (OidIsValid(trigger) && stmt->replace)
			pgxc_change(a, PGXC_ACTION_REDEFINE, TriggerRelationId, trigger, 0)
				->cascade = lfirst_oid(lc) != relid;
		else
		{
			PgxcChange *change =
				pgxc_change(a, PGXC_ACTION_ADD, RelationRelationId,
							lfirst_oid(lc), 0);

			change->what = trigger_words(stmt);
			change->cascade = lfirst_oid(lc) != relid;
		}
	}
	if (stmt->constrrel)
		pgxc_touch_relation(a, pgxc_resolve(a, stmt->constrrel),
							AccessShareLock);
	pgxc_touch_raw_expression(a, stmt->whenClause);
}

/*
 * A rule on a command that writes may keep rows from a table and its triggers;
 * on SELECT it is the view itself.
 */
static void
create_rule(PgxcAnalysis *a, RuleStmt *stmt)
{
	Oid relid = pgxc_resolve(a, stmt->relation);
	Oid rule;

	if (!OidIsValid(relid))
		return;
	pgxc_touch_relation(a, relid, AccessExclusiveLock);
	rule = get_rewrite_oid(relid, stmt->rulename, true);
	if (OidIsValid(rule) && stmt->replace)
		pgxc_change(a, PGXC_ACTION_REDEFINE, RewriteRelationId, rule, 0);
	else
		pgxc_change(a, PGXC_ACTION_ADD, RelationRelationId, relid, 0)->what =
			psprintf("rule \"%s\"", stmt->rulename);
	if (stmt->event == CMD_UPDATE)
		pgxc_change(a, PGXC_ACTION_BYPASS, RelationRelationId, relid, 0)->what =
			psprintf("rule \"%s\"", stmt->rulename);
	pgxc_touch_raw_expression(a, stmt->whereClause);
	pgxc_touch_raw_query(a, (Node *) stmt->actions, false, true);
}

static void
create_policy(PgxcAnalysis *a, CreatePolicyStmt *stmt)
{
	Oid relid = pgxc_resolve(a, stmt->table);

	if (!OidIsValid(relid))
		return;
	pgxc_touch_relation(a, relid, AccessExclusiveLock);
	pgxc_change(a, PGXC_ACTION_ADD, RelationRelationId, relid, 0)->what =
		psprintf("policy \"%s\"", stmt->policy_name);
	pgxc_touch_raw_expression(a, stmt->qual);
	pgxc_touch_raw_expression(a, stmt->with_check);
}

static void
alter_policy(PgxcAnalysis *a, AlterPolicyStmt *stmt)
{
	Oid relid = pgxc_resolve(a, stmt->table);
	Oid policy;

	if (!OidIsValid(relid))
		return;
	pgxc_touch_relation(a, relid, AccessExclusiveLock);
	policy = get_relation_policy_oid(relid, stmt->policy_name, true);
	if (OidIsValid(policy))
		pgxc_change(a, PGXC_ACTION_REDEFINE, PolicyRelationId, policy, 0);
	pgxc_touch_raw_expression(a, stmt->qual);
	pgxc_touch_raw_expression(a, stmt->with_check);
}

/*
 * What CREATE TRIGGER, CREATE RULE, CREATE POLICY or ALTER POLICY does.
 */
void
pgxc_analyse_trigger(PgxcAnalysis *a, Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_CreateTrigStmt:
			create_trigger(a, (CreateTrigStmt *) stmt);
			break;
		case T_RuleStmt:
			create_rule(a, (RuleStmt *) stmt);
			break;
		case T_CreatePolicyStmt:
			create_policy(a, (CreatePolicyStmt *) stmt);
			break;
		case T_AlterPolicyStmt:
			alter_policy(a, (AlterPolicyStmt *) stmt);
			break;
		default:
			break;
	}
}
