/*
 * never_raises.c
 *		Can an expression fail because of the value that it is given?
 *
 * An expression that can is evaluated in a subtransaction, which costs more
 * than most expressions do.  So it matters to know those that cannot.  What is
 * not known here can; to be wrong about that costs time and nothing else.
 *
 * Running out of memory and the like is no matter of the value's: such errors
 * are never caught.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "nodes/nodeFuncs.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "core/compat.h"
#include "dual_write/never_raises.h"

/*
 * Functions that are not leakproof (some of them for no better reason than
 * that nobody looked) but have no error for a value of their argument's type,
 * apart from memory: text in, text out, and what only copies, counts or widens.
 * Sorted.
 */
static const Oid harmless[] = {
	F_INT2OUT,               /* 38 */
	F_INT4OUT,               /* 42 */
	F_TEXTIN,                /* 46: a copy; the value has been verified */
	F_TEXTOUT,               /* 47 */
	F_FLOAT4OUT,             /* 201 */
	F_FLOAT8OUT,             /* 215 */
	F_TEXT_BPCHAR,           /* 401 */
	F_INT8OUT,               /* 460 */
	F_LOWER_TEXT,            /* 870: see below */
	F_UPPER_TEXT,            /* 871: see below */
	F_INITCAP,               /* 872: see below */
	F_LTRIM_TEXT_TEXT,       /* 875 */
	F_RTRIM_TEXT_TEXT,       /* 876 */
	F_LTRIM_TEXT,            /* 881 */
	F_RTRIM_TEXT,            /* 882 */
	F_BTRIM_TEXT_TEXT,       /* 884 */
	F_BTRIM_TEXT,            /* 885 */
	F_BPCHAROUT,             /* 1045 */
	F_VARCHAROUT,            /* 1047 */
	F_BOOLOUT,               /* 1243 */
	F_TEXTCAT,               /* 1258 */
	F_LENGTH_TEXT,           /* 1317 */
	F_CHARACTER_LENGTH_TEXT, /* 1369 */
	F_OCTET_LENGTH_TEXT,     /* 1374 */
	F_CHAR_LENGTH_TEXT,      /* 1381 */
	F_NUMERIC_OUT,           /* 1702 */
	F_NUMERIC_INT4,          /* 1740 */
	F_NUMERIC_INT8,          /* 1781 */
	F_NUMERIC_INT2,          /* 1782 */
	F_UUID_OUT,              /* 2953 */
	F_TEXT_BOOL,             /* 2971 */
	PGXC_F_REVERSE_TEXT      /* 3062 */
};

static int
compare_oids(const void *a, const void *b)
{
	Oid left = *(const Oid *) a;
	Oid right = *(const Oid *) b;

	return left < right ? -1 : left > right;
}

static bool
function_may_raise(Oid function, void *context)
{
	/*
	 * These find a character that the locale does not know, if the encoding
	 * of the database says nothing about what is stored.
	 */
	if ((function == F_LOWER_TEXT || function == F_UPPER_TEXT ||
		 function == F_INITCAP) &&
		GetDatabaseEncoding() == PG_SQL_ASCII)
		return true;
	if (bsearch(&function, harmless, lengthof(harmless), sizeof(Oid),
				compare_oids) != NULL)
		return false;
	return !get_func_leakproof(function);
}

static bool
may_raise_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Var:
		case T_Const:
		case T_List:
		case T_BoolExpr:
		case T_NullTest:
		case T_BooleanTest:
		case T_CaseExpr:
		case T_CaseWhen:
		case T_CaseTestExpr:
		case T_CoalesceExpr:
		case T_RelabelType:
			break;
		case T_FuncExpr:
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
		case T_ScalarArrayOpExpr:
		case T_CoerceViaIO:
			if (check_functions_in_node(node, function_may_raise, NULL))
				return true;
			break;
		default:
			return true;
	}
	return expression_tree_walker(node, may_raise_walker, context);
}

/*
 * True if no value can make the evaluation of this planned expression fail.
 */
bool
pgxc_never_raises(Node *expr)
{
	return !may_raise_walker(expr, NULL);
}
