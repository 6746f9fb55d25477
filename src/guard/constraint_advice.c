/*
 * constraint_advice.c
 *		How to get constraints without work under a strong lock: the statements,
 *		written out for this very table.
 *
 * A CHECK, a foreign key, and since 18 NOT NULL, come NOT VALID and are
 * validated then, under a lock that lets everybody write.  UNIQUE and PRIMARY
 * KEY get an index that was built before.  For EXCLUDE there is no such way.
 *
 * What a constraint says is taken from the statement's own text.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "commands/defrem.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "core/compat.h"
#include "guard/constraint.h"
#include "guard/statement_text.h"

/* The statements, in this order. */
typedef struct Advice
{
	PgxcAnalysis *a;
	Relation rel;
	char *table;           /* ALTER TABLE of it */
	StringInfoData others; /* subcommands that are no constraints */
	StringInfoData before;
	StringInfoData same; /* subcommands, changed so that they do no work */
	StringInfoData after;
	List *names; /* that constraints get */
	bool better; /* than the statement as it is */
	bool hopeless;
} Advice;

static char *
full_name(Oid relid)
{
	return quote_qualified_identifier(get_namespace_name(
										  get_rel_namespace(relid)),
									  get_rel_name(relid));
}

static void append(StringInfo text, const char *format, ...) PGXC_PRINTF(2, 3);

static void
append(StringInfo text, const char *format, ...)
{
	va_list args;
	int needed;

	if (text->len > 0)
		appendStringInfoString(text, "; ");
	for (;;)
	{
		va_start(args, format);
		needed = appendStringInfoVA(text, format, args);
		va_end(args);
		if (needed == 0)
			return;
		enlargeStringInfo(text, needed);
	}
}

static void
add_subcommand(StringInfo text, const char *subcommand)
{
	appendStringInfo(text, "%s%s", text->len > 0 ? ", " : "", subcommand);
}

static char *
joined(List *names)
{
	StringInfoData text;
	ListCell *lc;

	initStringInfo(&text);
	foreach (lc, names)
		appendStringInfo(&text, "%s%s", text.len > 0 ? "_" : "",
						 strVal(lfirst(lc)));
	return text.data;
}

/* A name that no constraint has, nor gets here. */
static char *
new_name(Advice *advice, const char *columns, const char *suffix)
{
	char *name =
		ChooseConstraintName(RelationGetRelationName(advice->rel), columns,
							 suffix, RelationGetNamespace(advice->rel),
							 advice->names);

	advice->names = lappend(advice->names, name);
	return name;
}

/* ---- columns that are to be NOT NULL ----------------------------------- */

/* Would the server look for nulls, in the table or in those that inherit it? */
static bool
looks_for_nulls(Advice *advice, const char *column)
{
	ListCell *lc;

	foreach (lc, find_all_inheritors(RelationGetRelid(advice->rel),
									 AccessShareLock, NULL))
	{
		Relation rel = relation_open(lfirst_oid(lc), AccessShareLock);
		AttrNumber attnum = get_attnum(lfirst_oid(lc), column);
		bool looks = attnum > 0 && pgxc_is_populated(lfirst_oid(lc)) &&
					 !pgxc_not_null_is_proved(advice->a, rel, attnum);

		relation_close(rel, NoLock);
		if (looks)
			return true;
	}
	return false;
}

/* Prove it before. */
static void
prove_not_null(Advice *advice, const char *column)
{
	Relation rel = advice->rel;
	char *table = full_name(RelationGetRelid(rel));
	const char *name;

	if (!looks_for_nulls(advice, column))
		return;
	name = quote_identifier(new_name(advice, column, "not_null"));
	column = quote_identifier(column);
#ifdef PGXC_HAVE_NOT_NULL_CONSTRAINTS
	append(&advice->before,
		   "ALTER TABLE %s ADD CONSTRAINT %s NOT NULL %s NOT VALID", table,
		   name, column);
#else
	append(&advice->before,
		   "ALTER TABLE %s ADD CONSTRAINT %s CHECK (%s IS NOT NULL) NOT VALID",
		   table, name, column);
	append(&advice->after, "ALTER TABLE %s DROP CONSTRAINT %s", table, name);
#endif
	append(&advice->before, "ALTER TABLE %s VALIDATE CONSTRAINT %s", table,
		   name);
	advice->better = true;
}

/* ---- UNIQUE, PRIMARY KEY ----------------------------------------------- */

static void
append_columns(StringInfo text, const char *before, List *names)
{
	ListCell *lc;
	const char *separator = "";

	if (names == NIL)
		return;
	appendStringInfo(text, "%s (", before);
	foreach (lc, names)
	{
		appendStringInfo(text, "%s%s", separator,
						 quote_identifier(strVal(lfirst(lc))));
		separator = ", ";
	}
	appendStringInfoChar(text, ')');
}

/* CREATE INDEX for the constraint, on this table. */
static char *
index_statement(const Constraint *constraint, Oid relid, const char *name)
{
	StringInfoData text;
	ListCell *lc;

	initStringInfo(&text);
	appendStringInfo(&text, "CREATE UNIQUE INDEX CONCURRENTLY %s ON %s",
					 quote_identifier(name), full_name(relid));
	append_columns(&text, "", constraint->keys);
	append_columns(&text, " INCLUDE", constraint->including);
	if (constraint->nulls_not_distinct)
		appendStringInfoString(&text, " NULLS NOT DISTINCT");
	foreach (lc, constraint->options)
	{
		DefElem *option = lfirst_node(DefElem, lc);

		appendStringInfo(&text, "%s%s = %s",
						 lc == list_head(constraint->options) ? " WITH ("
															  : ", ",
						 quote_identifier(option->defname),
						 quote_literal_cstr(defGetString(option)));
	}
	if (constraint->options != NIL)
		appendStringInfoChar(&text, ')');
	if (constraint->indexspace != NULL)
		appendStringInfo(&text, " TABLESPACE %s",
						 quote_identifier(constraint->indexspace));
	return text.data;
}

static char *
using_index(const Constraint *constraint, const char *name)
{
	return psprintf("ADD CONSTRAINT %s %s USING INDEX %s%s%s",
					quote_identifier(name),
					constraint->contype == CONSTR_PRIMARY ? "PRIMARY KEY"
														  : "UNIQUE",
					quote_identifier(name),
					constraint->deferrable ? " DEFERRABLE" : "",
					constraint->initdeferred ? " INITIALLY DEFERRED" : "");
}

static char *
index_name(const Constraint *constraint, Oid relid)
{
	bool primary = constraint->contype == CONSTR_PRIMARY;

	return ChooseRelationName(get_rel_name(relid),
							  primary ? NULL : joined(constraint->keys),
							  primary ? "pkey" : "key",
							  get_rel_namespace(relid), true);
}

/* On a partitioned table: first on all partitions, which are then attached. */
static void
build_on_partitions(Advice *advice, const Constraint *constraint)
{
	ListCell *lc;

	foreach (lc, find_all_inheritors(RelationGetRelid(advice->rel),
									 AccessShareLock, NULL))
	{
		Oid relid = lfirst_oid(lc);
		PgxcEffect *effect = pgxc_effect_find(advice->a, relid);
		char *name;

		if (effect == NULL || !(effect->work & PGXC_WORK_INDEX_BUILD))
			continue;
		name = index_name(constraint, relid);
		append(&advice->before, "%s", index_statement(constraint, relid, name));
		append(&advice->before, "ALTER TABLE %s %s", full_name(relid),
			   using_index(constraint, name));
		advice->better = true;
	}
}

static void
advise_index(Advice *advice, const Constraint *constraint, const char *text)
{
	Oid relid = RelationGetRelid(advice->rel);
	ListCell *lc;
	char *name;

	if (pgxc_constraint_def_period(constraint))
	{
		advice->hopeless = true;
		return;
	}
	if (constraint->contype == CONSTR_PRIMARY)
	{
		foreach (lc, pgxc_key_columns(advice->rel, constraint))
			prove_not_null(advice, strVal(lfirst(lc)));
	}
	if (constraint->indexname == NULL &&
		advice->rel->rd_rel->relkind == RELKIND_RELATION)
	{
		name = constraint->conname ? constraint->conname
								   : index_name(constraint, relid);
		append(&advice->before, "%s", index_statement(constraint, relid, name));
		text = using_index(constraint, name);
		advice->better = true;
	}
	else if (constraint->indexname == NULL)
		build_on_partitions(advice, constraint);
	add_subcommand(&advice->same, text);
}

/* ---- CHECK, NOT NULL, FOREIGN KEY -------------------------------------- */

/* The name that it has or would get. */
static char *
constraint_name(Advice *advice, const Constraint *constraint)
{
	const char *suffix = "check";
	List *names = pgxc_constraint_def_columns(advice->rel, constraint);
	char *columns = list_length(names) == 1 ? strVal(linitial(names)) : NULL;

	if (constraint->conname != NULL)
		return constraint->conname;
	if (constraint->contype == CONSTR_NOTNULL)
		suffix = "not_null";
	if (constraint->contype == CONSTR_FOREIGN)
	{
		suffix = "fkey";
		columns = joined(names);
	}
	return new_name(advice, columns, suffix);
}

#ifndef PGXC_HAVE_PARTITIONED_NOT_VALID
/*
 * Partitioned tables refuse such a foreign key that is NOT VALID; each
 * partition takes one.  They are all attached to the one that comes last.
 */
static void
check_partitions(Advice *advice, const char *text, const char *name)
{
	ListCell *lc;

	foreach (lc, find_all_inheritors(RelationGetRelid(advice->rel),
									 AccessShareLock, NULL))
	{
		PgxcEffect *effect = pgxc_effect_find(advice->a, lfirst_oid(lc));

		if (effect == NULL || !(effect->work & PGXC_WORK_SCAN))
			continue;
		append(&advice->before, "ALTER TABLE %s %s NOT VALID",
			   full_name(lfirst_oid(lc)), text);
		append(&advice->before, "ALTER TABLE %s VALIDATE CONSTRAINT %s",
			   full_name(lfirst_oid(lc)), quote_identifier(name));
		advice->better = true;
	}
	add_subcommand(&advice->same, text);
}
#endif

static void
advise_not_valid(Advice *advice, const Constraint *constraint, const char *text)
{
	char *name;

	if (constraint->skip_validation ||
		!pgxc_constraint_def_enforced(constraint))
	{
		add_subcommand(&advice->same, text);
		return;
	}
	name = constraint_name(advice, constraint);
	if (constraint->conname == NULL)
		text = pgxc_text_insert(text, 1,
								psprintf(" CONSTRAINT %s",
										 quote_identifier(name)));
#ifndef PGXC_HAVE_PARTITIONED_NOT_VALID
	if (constraint->contype == CONSTR_FOREIGN &&
		advice->rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
	{
		check_partitions(advice, text, name);
		return;
	}
#endif
	add_subcommand(&advice->same, psprintf("%s NOT VALID", text));
	append(&advice->after, "%s VALIDATE CONSTRAINT %s", advice->table,
		   quote_identifier(name));
	advice->better = true;
}

/* ---- all of them ------------------------------------------------------- */

/* The constraint that the n-th subcommand of the text adds, or NULL. */
static const Constraint *
constraint_at(PgxcAnalysis *a, AlterTableStmt *stmt, int n)
{
	ListCell *lc;

	foreach (lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (cmd->subtype == AT_AddConstraint && IsA(cmd->def, Constraint) &&
			pgxc_subcommand_at(a, ((Constraint *) cmd->def)->location) == n)
			return (Constraint *) cmd->def;
	}
	return NULL;
}

static void
advise_subcommand(Advice *advice, const Constraint *constraint,
				  const char *text)
{
	if (constraint == NULL)
	{
		add_subcommand(&advice->others, text);
		return;
	}
	switch (constraint->contype)
	{
		case CONSTR_CHECK:
		case CONSTR_NOTNULL:
		case CONSTR_FOREIGN:
			advise_not_valid(advice, constraint, text);
			break;
		case CONSTR_UNIQUE:
		case CONSTR_PRIMARY:
			advise_index(advice, constraint, text);
			break;
		default:
			advice->hopeless = true;
	}
}

/*
 * What to say instead of an ALTER TABLE that adds constraints; NULL if there is
 * nothing better, or the text of the statement is not known.  To be asked when
 * its effects are known.
 *
 * Other subcommands are left as they are, in a statement of their own that
 * comes first: a constraint may need what they make.
 */
char *
pgxc_constraint_advice(PgxcAnalysis *a, Relation rel, AlterTableStmt *stmt)
{
	Advice advice = { .a = a, .rel = rel };
	StringInfoData all;

	advice.table =
		psprintf("ALTER TABLE %s%s", stmt->relation->inh ? "" : "ONLY ",
				 full_name(RelationGetRelid(rel)));
	initStringInfo(&advice.others);
	initStringInfo(&advice.before);
	initStringInfo(&advice.same);
	initStringInfo(&advice.after);
	for (int n = 0; n < list_length(stmt->cmds); n++)
	{
		char *text = pgxc_subcommand_text(a, n);

		if (text == NULL)
			return NULL;
		advise_subcommand(&advice, constraint_at(a, stmt, n), text);
	}
	if (advice.hopeless || !advice.better)
		return NULL;

	initStringInfo(&all);
	if (advice.others.len > 0)
		append(&all, "%s %s", advice.table, advice.others.data);
	if (advice.before.len > 0)
		append(&all, "%s", advice.before.data);
	append(&all, "%s %s", advice.table, advice.same.data);
	if (advice.after.len > 0)
		append(&all, "%s", advice.after.data);
	return all.data;
}
