/*
 * index_text.c
 *		CREATE INDEX written so that it does not block.
 *
 * On one table that is the same statement with CONCURRENTLY.  A partitioned
 * table has no such thing: there it is an index on the parent only, which
 * builds nothing, one built concurrently on every partition, and ATTACH.
 */
#include "postgres.h"

#include <ctype.h>

#include "catalog/namespace.h"
#include "commands/defrem.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "guard/index_text.h"
#include "guard/statement_text.h"

struct PgxcIndexText
{
	IndexStmt *stmt;
	char *whole;        /* as it was written */
	char *definition;   /* the part of it after the name of the table */
	StringInfoData sql; /* what came of it so far */
};

static char *
regclass_text(Oid relid)
{
	return DatumGetCString(
		DirectFunctionCall1(regclassout, ObjectIdGetDatum(relid)));
}

/* What follows the first tokens. */
static char *
text_after(const char *text, int ntokens)
{
	static const char *const mark = "\001\002\003";
	char *marked = pgxc_text_insert(text, ntokens, mark);

	marked = strstr(marked, mark) + strlen(mark);
	while (isspace((unsigned char) *marked))
		marked++;
	return marked;
}

/* How many tokens come before the definition. */
static int
tokens_of_head(const IndexStmt *stmt)
{
	int n = 2 + (stmt->unique ? 1 : 0); /* CREATE UNIQUE INDEX */

	if (stmt->concurrent)
		n++;
	if (stmt->if_not_exists)
		n += 3;
	if (stmt->idxname)
		n++;
	n += 2; /* ON name */
	if (stmt->relation->schemaname)
		n += 2;
	if (stmt->relation->catalogname)
		n += 2;
	return n;
}

/*
 * Begin with a statement under analysis; NULL if its text is not known.
 */
PgxcIndexText *
pgxc_index_text(PgxcAnalysis *a, IndexStmt *stmt)
{
	char *whole = pgxc_statement_text(a);
	PgxcIndexText *text;

	if (whole == NULL)
		return NULL;
	text = palloc0(sizeof(PgxcIndexText));
	text->stmt = stmt;
	text->whole = whole;
	text->definition = text_after(whole, tokens_of_head(stmt));
	if (text->definition[0] == '*')
		text->definition = text_after(text->definition, 1);
	initStringInfo(&text->sql);
	return text;
}

/* A name as PostgreSQL would make it: table_column_column_idx. */
static char *
choose_name(Relation rel, const PgxcIndexShape *shape)
{
	StringInfoData columns;

	initStringInfo(&columns);
	for (int i = 0; i < shape->info->ii_NumIndexAttrs; i++)
	{
		AttrNumber attnum = shape->info->ii_IndexAttrNumbers[i];

		appendStringInfo(&columns, "%s%s", i > 0 ? "_" : "",
						 attnum == 0 ? "expr"
									 : get_attname(RelationGetRelid(rel),
												   attnum, false));
		if (columns.len >= NAMEDATALEN)
			break;
	}
	return ChooseRelationName(RelationGetRelationName(rel), columns.data, "idx",
							  RelationGetNamespace(rel), false);
}

static void
next_statement(PgxcIndexText *text)
{
	if (text->sql.len > 0)
		appendStringInfoString(&text->sql, "; ");
}

/*
 * An index on this relation: the last that build something are concurrent.
 * parent_index is the one whose part it will be, NULL for none.  Returns its
 * name, as it must be written to be found.
 */
char *
pgxc_index_text_create(PgxcIndexText *text, Relation rel,
					   const PgxcIndexShape *shape, const char *parent_index)
{
	bool leaf = rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE;
	char *name = text->stmt->idxname;
	char *schema = NULL;

	next_statement(text);
	if (leaf && parent_index == NULL)
	{
		appendStringInfoString(&text->sql,
							   pgxc_text_insert(text->whole,
												text->stmt->unique ? 3 : 2,
												" CONCURRENTLY"));
		return NULL;
	}
	if (name == NULL || parent_index != NULL)
		name = choose_name(rel, shape);
	if (!RelationIsVisible(RelationGetRelid(rel)))
		schema = get_namespace_name(RelationGetNamespace(rel));
	appendStringInfo(&text->sql, "CREATE %sINDEX %s%s ON %s%s %s",
					 text->stmt->unique ? "UNIQUE " : "",
					 leaf ? "CONCURRENTLY " : "", quote_identifier(name),
					 leaf ? "" : "ONLY ", regclass_text(RelationGetRelid(rel)),
					 text->definition);
	name = quote_qualified_identifier(schema, name);
	if (parent_index != NULL)
		appendStringInfo(&text->sql, "; ALTER INDEX %s ATTACH PARTITION %s",
						 parent_index, name);
	return name;
}

/* An index that exists becomes a part of this one. */
void
pgxc_index_text_attach(PgxcIndexText *text, const char *index, Oid part)
{
	next_statement(text);
	appendStringInfo(&text->sql, "ALTER INDEX %s ATTACH PARTITION %s", index,
					 regclass_text(part));
}

/* All of it. */
char *
pgxc_index_text_finish(PgxcIndexText *text)
{
	return text->sql.data;
}
