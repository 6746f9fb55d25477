/*
 * not_null_proof.c
 *		Does ALTER TABLE have to look for nulls?
 */
#include "postgres.h"

#include "access/tupdesc.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/prep.h"
#include "utils/rel.h"

#include "core/compat.h"
#include "guard/analysis.h"
#include "guard/pending.h"

/* The valid CHECK constraints of a relation, as a list that is and-ed. */
static List *
valid_checks(Relation rel)
{
	TupleConstr *constr = RelationGetDescr(rel)->constr;
	int n = constr != NULL ? constr->num_check : 0;
	List *checks = NIL;

	for (int i = 0; i < n; i++)
	{
		Node *expr;

		if (!constr->check[i].ccvalid)
			continue;
		/* As the server does, or less would match. */
		expr =
			eval_const_expressions(NULL, stringToNode(constr->check[i].ccbin));
		expr = (Node *) canonicalize_qual((Expr *) expr, true);
		checks = list_concat(checks, make_ands_implicit((Expr *) expr));
	}
	return checks;
}

/*
 * Would SET NOT NULL on this column of this very table (callers walk the
 * children) read no row: because it is NOT NULL, or because valid CHECK
 * constraints say so?  This proves exactly what the server proves.
 *
 * A NOT NULL constraint that is NOT VALID (18) is no proof, and the server
 * then does not look at others: it validates that one.
 *
 * The relation is open; allocates in the current memory context.
 */
bool
pgxc_not_null_is_proved(PgxcAnalysis *a, Relation rel, AttrNumber attnum)
{
	Form_pg_attribute attr;
	NullTest *test;

	if (attnum <= 0)
		return true; /* those of the system are never null */
	attr = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	if (attr->attnotnull)
		return pgxc_column_is_not_null(RelationGetDescr(rel), attnum);

	test = makeNode(NullTest);
	test->arg = (Expr *) makeVar(1, attnum, attr->atttypid, attr->atttypmod,
								 attr->attcollation, 0);
	test->nulltesttype = IS_NOT_NULL;
	/* Not so even of a composite column: the server tests no fields. */
	test->argisrow = false;
	test->location = -1;
	return predicate_implied_by(list_make1(test),
								list_concat(valid_checks(rel),
											pgxc_pending_checks(a, rel)),
								true);
}
