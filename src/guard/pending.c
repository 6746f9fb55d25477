/*
 * pending.c
 *		What earlier statements of the same text would have done.
 *
 * check_ddl() runs nothing, so a migration script that makes a table and alters
 * it, or adds a constraint and validates it, talks of things that are not in
 * the catalog.  This remembers them: relations by name; columns and constraints
 * of relations that are there; and, between BEGIN and COMMIT, the locks.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/prep.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_relation.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "guard/pending.h"

/* A name that the text gives: to a relation that it makes, or renames. */
typedef struct PendingRelation
{
	int no; /* of the statement */
	char *schema;
	char *name;
	Oid relid; /* of the one that had another name; InvalidOid: a new one */
} PendingRelation;

/* A column or a constraint that the text adds to a relation that is there. */
typedef struct PendingPart
{
	int no;
	Oid relid;
	char *name;
	bool is_column;
	bool valid;       /* constraint: all rows have been checked */
	bool not_null;    /* column: it was made so, or it has become so */
	Node *check;      /* constraint: raw, or NULL for another type */
	RangeVar *target; /* foreign key: the referenced table */
} PendingPart;

typedef struct PendingLock
{
	int no;
	Oid relid;
	LOCKMODE lock;
} PendingLock;

struct PgxcPending
{
	List *relations;
	List *parts;
	List *locks;            /* of the open transaction */
	bool in_block;          /* there is one: BEGIN without COMMIT so far */
	List *relations_before; /* as they were at that BEGIN */
	List *parts_before;
};

PgxcPending *
pgxc_pending_create(void)
{
	return palloc0(sizeof(PgxcPending));
}

bool
pgxc_pending_is_empty(const PgxcPending *pending)
{
	return pending == NULL ||
		   (pending->relations == NIL && pending->parts == NIL);
}

/* Where a relation of no schema would be made. */
static char *
default_schema(void)
{
	List *path = fetch_search_path(false);

	return path == NIL ? NULL : get_namespace_name(linitial_oid(path));
}

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static PendingRelation *
find_relation(const PgxcPending *pending, const RangeVar *name)
{
	ListCell *lc;
	char *schema = name->schemaname ? name->schemaname : default_schema();

	foreach (lc, pending->relations)
	{
		PendingRelation *relation = (PendingRelation *) lfirst(lc);

		if (strcmp(relation->name, name->relname) == 0 &&
			same_text(relation->schema, schema))
			return relation;
	}
	return NULL;
}

static PendingPart *
find_part(const PgxcPending *pending, Oid relid, const char *name,
		  bool is_column)
{
	ListCell *lc;

	if (pending == NULL || name == NULL)
		return NULL;
	foreach (lc, pending->parts)
	{
		PendingPart *part = (PendingPart *) lfirst(lc);

		if (part->relid == relid && part->is_column == is_column &&
			strcmp(part->name, name) == 0)
			return part;
	}
	return NULL;
}

/* Does the text add a column or a constraint of this name? */
bool
pgxc_pending_has(const PgxcPending *pending, Oid relid, const char *part)
{
	return find_part(pending, relid, part, true) != NULL ||
		   find_part(pending, relid, part, false) != NULL;
}

static void
add_relation(PgxcPending *pending, int no, const char *schema, const char *name,
			 Oid relid)
{
	PendingRelation *relation = palloc0(sizeof(PendingRelation));

	relation->no = no;
	relation->schema = schema ? pstrdup(schema) : default_schema();
	relation->name = pstrdup(name);
	relation->relid = relid;
	/* The newest one counts. */
	pending->relations = lcons(relation, pending->relations);
}

static void
make_relation(PgxcPending *pending, int no, const RangeVar *name)
{
	if (name == NULL || OidIsValid(RangeVarGetRelid(name, NoLock, true)))
		return;
	add_relation(pending, no, name->schemaname, name->relname, InvalidOid);
}

static PendingPart *
add_part(PgxcPending *pending, int no, Oid relid, const char *name,
		 bool is_column)
{
	PendingPart *part = palloc0(sizeof(PendingPart));

	part->no = no;
	part->relid = relid;
	part->name = pstrdup(name);
	part->is_column = is_column;
	pending->parts = lappend(pending->parts, part);
	return part;
}

static void
note_rename(PgxcPending *pending, int no, const RenameStmt *stmt)
{
	PendingRelation *renamed;
	Oid relid;

	if (stmt->relation == NULL ||
		(stmt->renameType != OBJECT_TABLE && stmt->renameType != OBJECT_COLUMN))
		return;
	relid = RangeVarGetRelid(stmt->relation, AccessShareLock, true);
	if (stmt->renameType == OBJECT_COLUMN)
	{
		if (OidIsValid(relid))
			(void) add_part(pending, no, relid, stmt->newname, true);
		return;
	}
	renamed = OidIsValid(relid) ? NULL : find_relation(pending, stmt->relation);
	add_relation(pending, no, stmt->relation->schemaname, stmt->newname,
				 renamed ? renamed->relid : relid);
}

static void
note_column(PgxcPending *pending, int no, Oid relid, const ColumnDef *column)
{
	PendingPart *part = add_part(pending, no, relid, column->colname, true);
	ListCell *lc;

	part->not_null = column->is_not_null;
	foreach (lc, column->constraints)
	{
		Constraint *constraint = lfirst_node(Constraint, lc);

		part->not_null |= constraint->contype == CONSTR_NOTNULL ||
						  constraint->contype == CONSTR_PRIMARY;
	}
}

static void
note_constraint(PgxcPending *pending, int no, Oid relid,
				const Constraint *constraint)
{
	PendingPart *part;

	if (constraint->conname == NULL || (constraint->contype != CONSTR_CHECK &&
										constraint->contype != CONSTR_FOREIGN))
		return;
	part = add_part(pending, no, relid, constraint->conname, false);
	part->valid = !constraint->skip_validation;
	part->check =
		constraint->contype == CONSTR_CHECK ? constraint->raw_expr : NULL;
	part->target = constraint->pktable;
}

static void
note_not_null(PgxcPending *pending, int no, Oid relid, const char *column)
{
	PendingPart *part = find_part(pending, relid, column, true);

	if (part == NULL)
		part = add_part(pending, no, relid, column, true);
	part->not_null = true;
}

static void
note_alter_table(PgxcPending *pending, int no, AlterTableStmt *stmt)
{
	Oid relid = RangeVarGetRelid(stmt->relation, NoLock, true);
	ListCell *lc;

	if (!OidIsValid(relid))
		return;
	foreach (lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);
		PendingPart *part;

		switch (cmd->subtype)
		{
			case AT_AddColumn:
				note_column(pending, no, relid, castNode(ColumnDef, cmd->def));
				break;
			case AT_AddConstraint:
				note_constraint(pending, no, relid,
								castNode(Constraint, cmd->def));
				break;
			case AT_ValidateConstraint:
				part = find_part(pending, relid, cmd->name, false);
				if (part != NULL)
					part->valid = true;
				break;
			case AT_SetNotNull:
				note_not_null(pending, no, relid, cmd->name);
				break;
			case AT_DropConstraint:
				part = find_part(pending, relid, cmd->name, false);
				if (part != NULL)
					pending->parts = list_delete_ptr(pending->parts, part);
				break;
			default:
				break;
		}
	}
}

/* A part may become valid later. */
static List *
copy_parts(List *parts)
{
	List *copy = NIL;
	ListCell *lc;

	foreach (lc, parts)
	{
		PendingPart *part = palloc(sizeof(PendingPart));

		*part = *(PendingPart *) lfirst(lc);
		copy = lappend(copy, part);
	}
	return copy;
}

static void
note_transaction(PgxcPending *pending, const TransactionStmt *stmt)
{
	switch (stmt->kind)
	{
		case TRANS_STMT_BEGIN:
		case TRANS_STMT_START:
			pending->in_block = true;
			pending->relations_before = list_copy(pending->relations);
			pending->parts_before = copy_parts(pending->parts);
			break;
		case TRANS_STMT_ROLLBACK:
			if (pending->in_block)
			{
				pending->relations = pending->relations_before;
				pending->parts = pending->parts_before;
			}
			/* FALLTHROUGH */
		case TRANS_STMT_COMMIT:
		case TRANS_STMT_PREPARE:
			pending->in_block = false;
			pending->locks = NIL;
			break;
		default:
			break;
	}
}

/* Remember what a statement, the no-th of its text, makes.  a: may be NULL. */
void
pgxc_pending_note(PgxcPending *pending, int no, Node *stmt, PgxcAnalysis *a)
{
	switch (nodeTag(stmt))
	{
		case T_TransactionStmt:
			note_transaction(pending, (TransactionStmt *) stmt);
			break;
		case T_CreateStmt:
			make_relation(pending, no, ((CreateStmt *) stmt)->relation);
			break;
		case T_CreateForeignTableStmt:
			make_relation(pending, no,
						  ((CreateForeignTableStmt *) stmt)->base.relation);
			break;
		case T_CreateTableAsStmt:
			make_relation(pending, no, ((CreateTableAsStmt *) stmt)->into->rel);
			break;
		case T_SelectStmt:
			if (((SelectStmt *) stmt)->intoClause)
				make_relation(pending, no,
							  ((SelectStmt *) stmt)->intoClause->rel);
			break;
		case T_ViewStmt:
			make_relation(pending, no, ((ViewStmt *) stmt)->view);
			break;
		case T_CreateSeqStmt:
			make_relation(pending, no, ((CreateSeqStmt *) stmt)->sequence);
			break;
		case T_IndexStmt:
			if (((IndexStmt *) stmt)->idxname)
				add_relation(pending, no,
							 ((IndexStmt *) stmt)->relation->schemaname,
							 ((IndexStmt *) stmt)->idxname, InvalidOid);
			break;
		case T_RenameStmt:
			note_rename(pending, no, (RenameStmt *) stmt);
			break;
		case T_AlterTableStmt:
			note_alter_table(pending, no, (AlterTableStmt *) stmt);
			break;
		default:
			break;
	}
}

/*
 * The statement is about a relation that is not there.  If the text makes it,
 * that is harmless: nobody else can see it before the end.  If the text gave it
 * that name, it is the one returned, otherwise InvalidOid.
 */
Oid
pgxc_pending_resolve(PgxcAnalysis *a, const RangeVar *name)
{
	PendingRelation *relation;
	PgxcEffect *effect;

	if (a->pending == NULL)
		return InvalidOid;
	relation = find_relation(a->pending, name);
	if (relation == NULL || OidIsValid(relation->relid))
		return relation ? relation->relid : InvalidOid;
	effect = palloc0(sizeof(PgxcEffect));
	effect->relation = pstrdup(relation->name);
	effect->lock = AccessExclusiveLock;
	effect->reason = psprintf("statement %d makes it", relation->no);
	effect->new_here = true;
	a->effects = lappend(a->effects, effect);
	return InvalidOid;
}

/* A raw condition over a relation, as the server stores it; NULL if wrong. */
static Node *
cook(Relation rel, Node *raw)
{
	MemoryContext context = CurrentMemoryContext;
	Node *volatile cooked = NULL;

	/* The subtransaction of the analysis is rolled back in any case. */
	PG_TRY();
	{
		ParseState *pstate = make_parsestate(NULL);
		ParseNamespaceItem *item =
			addRangeTableEntryForRelation(pstate, rel, AccessShareLock, NULL,
										  false, true);

		addNSItemToQuery(pstate, item, true, true, true);
		cooked =
			transformExpr(pstate, copyObject(raw), EXPR_KIND_CHECK_CONSTRAINT);
		cooked = coerce_to_boolean(pstate, cooked, "CHECK");
		assign_expr_collations(pstate, cooked);
		cooked = eval_const_expressions(NULL, cooked);
		cooked = (Node *) canonicalize_qual((Expr *) cooked, true);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		FlushErrorState();
		cooked = NULL;
	}
	PG_END_TRY();
	return cooked;
}

/*
 * The check constraints that the text has added to a relation and validated,
 * as a list of conditions for predicate_implied_by().
 */
List *
pgxc_pending_checks(PgxcAnalysis *a, Relation rel)
{
	List *checks = NIL;
	ListCell *lc;

	if (a->pending == NULL)
		return NIL;
	foreach (lc, a->pending->parts)
	{
		PendingPart *part = (PendingPart *) lfirst(lc);
		Node *check;

		if (part->relid != RelationGetRelid(rel))
			continue;
		if (part->is_column && part->not_null)
		{
			AttrNumber attnum = get_attnum(part->relid, part->name);
			NullTest *test = makeNode(NullTest);
			Form_pg_attribute att;

			if (attnum <= 0)
				continue;
			att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
			test->arg = (Expr *) makeVar(1, attnum, att->atttypid,
										 att->atttypmod, att->attcollation, 0);
			test->nulltesttype = IS_NOT_NULL;
			test->location = -1;
			checks = lappend(checks, test);
		}
		else if (part->check != NULL && part->valid)
		{
			check = cook(rel, part->check);
			if (check != NULL)
				checks =
					list_concat(checks, make_ands_implicit((Expr *) check));
		}
	}
	return checks;
}

/* Does a valid check of the text say that a column of the text is not null? */
static bool
is_not_null(const PgxcPending *pending, const PendingPart *column)
{
	ListCell *lc;

	if (column->not_null)
		return true;
	foreach (lc, pending->parts)
	{
		PendingPart *part = (PendingPart *) lfirst(lc);
		ColumnRef *ref;

		if (part->relid != column->relid || !part->valid ||
			part->check == NULL || !IsA(part->check, NullTest) ||
			((NullTest *) part->check)->nulltesttype != IS_NOT_NULL ||
			!IsA(((NullTest *) part->check)->arg, ColumnRef))
			continue;
		ref = (ColumnRef *) ((NullTest *) part->check)->arg;
		if (IsA(llast(ref->fields), String) &&
			strcmp(strVal(llast(ref->fields)), column->name) == 0)
			return true;
	}
	return false;
}

/*
 * A subcommand about a column or a constraint that the text has added, and that
 * the others therefore do not find.
 */
void
pgxc_pending_alter(PgxcAnalysis *a, Relation rel, AlterTableCmd *cmd,
				   LOCKMODE lock)
{
	Oid relid = RelationGetRelid(rel);
	PendingPart *part;

	if (a->pending == NULL)
		return;
	switch (cmd->subtype)
	{
		case AT_SetNotNull:
			part = find_part(a->pending, relid, cmd->name, true);
			if (part != NULL && get_attnum(relid, cmd->name) <= 0 &&
				!is_not_null(a->pending, part))
				pgxc_touch_work(a, relid, lock, PGXC_WORK_SCAN,
								"no valid check constraint proves it");
			break;
		case AT_AlterColumnType:
			part = find_part(a->pending, relid, cmd->name, true);
			if (part != NULL && get_attnum(relid, cmd->name) <= 0)
				pgxc_touch_work(
					a, relid, lock, PGXC_WORK_SCAN | PGXC_WORK_REWRITE,
					"the type of a column of the same text changes");
			break;
		case AT_ValidateConstraint:
			part = find_part(a->pending, relid, cmd->name, false);
			if (part == NULL || part->valid)
				break;
			pgxc_touch_work(a, relid, lock, PGXC_WORK_SCAN,
							"every row is checked");
			if (part->target != NULL)
			{
				Oid target = pgxc_resolve(a, part->target);

				if (OidIsValid(target))
					pgxc_touch_work(a, target, RowShareLock, PGXC_WORK_SCAN,
									"every reference is looked up");
			}
			break;
		default:
			break;
	}
}

/*
 * Between BEGIN and COMMIT a lock stays: work that comes later is done under
 * the strongest one that an earlier statement took.
 */
void
pgxc_pending_keep_locks(PgxcPending *pending, int no, PgxcAnalysis *a)
{
	ListCell *lc;

	if (!pending->in_block)
		return;
	foreach (lc, a->effects)
	{
		PgxcEffect *effect = (PgxcEffect *) lfirst(lc);
		PendingLock *strongest = NULL;
		PendingLock *mine;
		ListCell *l;

		foreach (l, pending->locks)
		{
			PendingLock *lock = (PendingLock *) lfirst(l);

			if (lock->relid == effect->relid &&
				(strongest == NULL || lock->lock > strongest->lock))
				strongest = lock;
		}
		if (strongest != NULL && strongest->lock > effect->lock)
		{
			effect->lock = strongest->lock;
			if (effect->work != PGXC_WORK_NONE)
			{
				effect->reason = psprintf(
					"statement %d of the same transaction has taken the lock, which stays",
					strongest->no);
				effect->alternative = pstrdup("COMMIT before this statement");
			}
		}
		mine = palloc(sizeof(PendingLock));
		mine->no = no;
		mine->relid = effect->relid;
		mine->lock = effect->lock;
		pending->locks = lappend(pending->locks, mine);
	}
}
