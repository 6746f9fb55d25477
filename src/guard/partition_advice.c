/*
 * partition_advice.c
 *		How to make a partition come or go without work under a strong lock:
 *		whatever takes long is done before, under weaker locks, so that the
 *		statement itself finds it proved or built.
 *
 * Each piece of advice is a list of statements that run as they stand, each in
 * a transaction of its own.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "commands/defrem.h"
#include "commands/tablecmds.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "guard/partition.h"
#include "guard/statement_text.h"

/* Statements that come before and after the one that was analysed. */
typedef struct Advice
{
	StringInfoData before;
	StringInfoData after;
} Advice;

static const char *
relation_text(Oid relid)
{
	return DatumGetCString(
		DirectFunctionCall1(regclassout, ObjectIdGetDatum(relid)));
}

/* A CHECK that the server takes for a proof is made, and dropped again. */
static void
advise_check(Advice *advice, Relation rel, List *constraint)
{
	const char *table = relation_text(RelationGetRelid(rel));
	const char *name = quote_identifier(
		ChooseConstraintName(RelationGetRelationName(rel), NULL, "bound",
							 RelationGetNamespace(rel), NIL));

	if (constraint == NIL ||
		PartConstraintImpliedByRelConstraint(rel, constraint))
		return;
	appendStringInfo(&advice->before,
					 "ALTER TABLE %s ADD CONSTRAINT %s CHECK (%s) NOT VALID; "
					 "ALTER TABLE %s VALIDATE CONSTRAINT %s; ",
					 table, name, pgxc_partition_check(rel, constraint), table,
					 name);
	appendStringInfo(&advice->after, "; ALTER TABLE %s DROP CONSTRAINT %s",
					 table, name);
}

/* The definition of an index from the method on. */
static const char *
index_body(Oid index, bool *unique)
{
	const char *definition = pg_get_indexdef_string(index);
	const char *name = quote_identifier(get_rel_name(index));
	const char *start = strstr(definition, name);
	Oid relid = IndexGetRelation(index, false);
	char *table;

	*unique = strncmp(definition, "CREATE UNIQUE", 13) == 0;
	if (start == NULL)
		return NULL;
	table =
		quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
								   get_rel_name(relid));
	start = strstr(start + strlen(name), table);
	return start + strlen(table);
}

/* Is the index of a primary key? */
static bool
is_primary(Oid index)
{
	Relation rel = index_open(index, AccessShareLock);
	bool primary = rel->rd_index->indisprimary;

	index_close(rel, NoLock);
	return primary;
}

/* PRIMARY KEY or UNIQUE, if the index is of a constraint; else NULL. */
static const char *
constraint_words(Oid index)
{
	if (!OidIsValid(
			get_relation_idx_constraint_oid(IndexGetRelation(index, false),
											index)))
		return NULL;
	return is_primary(index) ? "PRIMARY KEY" : "UNIQUE";
}

/* A table gets an index like that of the parent; its name. */
static const char *
advise_leaf_index(Advice *advice, Relation rel, Oid index)
{
	const char *table = relation_text(RelationGetRelid(rel));
	const char *name = quote_identifier(
		ChooseRelationName(RelationGetRelationName(rel), get_rel_name(index),
						   "idx", RelationGetNamespace(rel), false));
	const char *constraint = constraint_words(index);
	bool unique;
	const char *body = index_body(index, &unique);

	appendStringInfo(&advice->before,
					 "CREATE %sINDEX CONCURRENTLY %s ON %s%s; ",
					 unique ? "UNIQUE " : "", name, table, body);
	if (constraint)
		appendStringInfo(&advice->before,
						 "ALTER TABLE %s ADD CONSTRAINT %s %s USING INDEX %s; ",
						 table, name, constraint, name);
	return name;
}

/* The same for a partitioned table, which gets an empty index first. */
static const char *
advise_parent_index(Advice *advice, Relation rel, Oid index)
{
	const char *table = relation_text(RelationGetRelid(rel));
	const char *name = quote_identifier(
		ChooseRelationName(RelationGetRelationName(rel), get_rel_name(index),
						   "idx", RelationGetNamespace(rel), false));
	bool unique;
	const char *body = index_body(index, &unique);

	if (constraint_words(index))
	{
		Oid constraint =
			get_relation_idx_constraint_oid(IndexGetRelation(index, false),
											index);

		appendStringInfo(&advice->before,
						 "ALTER TABLE ONLY %s ADD CONSTRAINT %s %s; ", table,
						 name,
						 TextDatumGetCString(DirectFunctionCall1(
							 pg_get_constraintdef,
							 ObjectIdGetDatum(constraint))));
	}
	else
		appendStringInfo(&advice->before, "CREATE %sINDEX %s ON ONLY %s%s; ",
						 unique ? "UNIQUE " : "", name, table, body);
	return name;
}

/*
 * An index that the parent has is built without a strong lock; returns its
 * name, as far as the statements can use it.
 */
static const char *
advise_index(Advice *advice, Relation rel, Relation parent, Oid index)
{
	const char *name;
	const char *nsp =
		quote_identifier(get_namespace_name(RelationGetNamespace(rel)));
	ListCell *lc;

	if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return advise_leaf_index(advice, rel, index);
	name = advise_parent_index(advice, rel, index);
	foreach (lc, find_inheritance_children(RelationGetRelid(rel), NoLock))
	{
		Relation part = relation_open(lfirst_oid(lc), AccessShareLock);
		Oid own = pgxc_partition_index(part, parent, index);
		const char *child = OidIsValid(own)
								? relation_text(own)
								: advise_index(advice, part, parent, index);

		appendStringInfo(&advice->before,
						 "ALTER INDEX %s.%s ATTACH PARTITION %s%s%s; ", nsp,
						 name,
						 OidIsValid(own) ? ""
										 : quote_identifier(get_namespace_name(
											   RelationGetNamespace(part))),
						 OidIsValid(own) ? "" : ".", child);
		relation_close(part, NoLock);
	}
	return name;
}

/* Foreign keys that the parent has are checked under weaker locks. */
static void
advise_key(Advice *advice, Relation rel, Oid constraint)
{
	const char *table = relation_text(RelationGetRelid(rel));
	const char *name = quote_identifier(
		ChooseConstraintName(RelationGetRelationName(rel),
							 get_constraint_name(constraint), "fkey",
							 RelationGetNamespace(rel), NIL));
	char *definition =
		TextDatumGetCString(DirectFunctionCall1(pg_get_constraintdef,
												ObjectIdGetDatum(constraint)));
	char *invalid = strstr(definition, " NOT VALID");

	if (invalid != NULL)
		*invalid = '\0';
	appendStringInfo(&advice->before,
					 "ALTER TABLE %s ADD CONSTRAINT %s %s NOT VALID; "
					 "ALTER TABLE %s VALIDATE CONSTRAINT %s; ",
					 table, name, definition, table, name);
}

/* To all relations that the statement works on. */
static void
give(PgxcAnalysis *a, Advice *advice)
{
	char *text = pgxc_statement_text(a);
	char *alternative;
	ListCell *lc;

	if (text == NULL || advice->before.len == 0)
		return;
	alternative =
		psprintf("%s%s%s", advice->before.data, text, advice->after.data);
	foreach (lc, a->effects)
	{
		PgxcEffect *effect = (PgxcEffect *) lfirst(lc);

		if (effect->work != PGXC_WORK_NONE)
			effect->alternative = alternative;
	}
}

static void
advise_default(Advice *advice, Relation parent, List *quals)
{
	Oid relid = pgxc_default_partition(parent);
	Relation rel;

	if (!OidIsValid(relid))
		return;
	rel = relation_open(relid, AccessShareLock);
	advise_check(advice, rel, pgxc_default_constraint(parent, rel, quals));
	relation_close(rel, NoLock);
}

/*
 * ALTER TABLE ATTACH PARTITION; quals: of the bound, in terms of the parent.
 */
void
pgxc_advise_attach(PgxcAnalysis *a, Relation parent, Relation partition,
				   PartitionBoundSpec *bound, List *quals)
{
	Advice advice;
	ListCell *lc;

	initStringInfo(&advice.before);
	initStringInfo(&advice.after);
	advise_check(&advice, partition,
				 pgxc_attached_constraint(parent, partition, quals));
	if (partition->rd_rel->relkind != RELKIND_FOREIGN_TABLE)
	{
		foreach (lc, pgxc_missing_indexes(parent, partition))
			(void) advise_index(&advice, partition, parent, lfirst_oid(lc));
	}
	/* A partitioned table cannot have one that is NOT VALID. */
	if (partition->rd_rel->relkind == RELKIND_RELATION)
	{
		foreach (lc, pgxc_missing_keys(parent, partition))
			advise_key(&advice, partition, lfirst_oid(lc));
	}
	if (!bound->is_default)
		advise_default(&advice, parent, quals);
	give(a, &advice);
}

/* CREATE TABLE PARTITION OF beside a default partition. */
void
pgxc_advise_new_partition(PgxcAnalysis *a, Relation parent, List *quals)
{
	Advice advice;

	initStringInfo(&advice.before);
	initStringInfo(&advice.after);
	advise_default(&advice, parent, quals);
	give(a, &advice);
}

/* DETACH PARTITION where there is no default partition. */
void
pgxc_advise_detach(PgxcAnalysis *a, Relation parent, Relation partition)
{
	char *text = pgxc_statement_text(a);

	if (text == NULL)
		return;
	text = psprintf("%s CONCURRENTLY", text);
	pgxc_touch(a, RelationGetRelid(parent), NoLock)->alternative = text;
	pgxc_touch(a, RelationGetRelid(partition), NoLock)->alternative = text;
}
