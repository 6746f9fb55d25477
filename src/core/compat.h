/*
 * compat.h
 *		Differences between the server versions that pgxc supports.
 *
 * This is the only file that knows version numbers.
 */
#ifndef PGXC_COMPAT_H
#define PGXC_COMPAT_H

#include "access/attmap.h"
#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
#include "parser/parse_relation.h"
#include "parser/parse_type.h"
#include "pgstat.h"
#include "replication/slot.h"
#include "rewrite/rewriteHandler.h"
#include "storage/lock.h"
#include "tcop/pquery.h"
#include "utils/acl.h"
#include "utils/backend_status.h"
#include "utils/guc_tables.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/wait_event.h"

#if PG_VERSION_NUM < 150000
#error "pgxc requires PostgreSQL 15 or later"
#endif

#if PG_VERSION_NUM >= 180000
#define PGXC_MODULE_MAGIC \
	PG_MODULE_MAGIC_EXT(.name = "pgxc", .version = PGXC_VERSION)
#else
#define PGXC_MODULE_MAGIC PG_MODULE_MAGIC
#endif

/* The server's headers name an attribute that only gcc knows. */
#ifdef __clang__
#define PGXC_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define PGXC_PRINTF(text, first) pg_attribute_printf(text, first)
#endif

/* As in pg_locks. */
static inline char *
pgxc_vxid_text(VirtualTransactionId vxid)
{
#if PG_VERSION_NUM >= 170000
	return psprintf("%d/%u", vxid.procNumber, vxid.localTransactionId);
#else
	return psprintf("%d/%u", vxid.backendId, vxid.localTransactionId);
#endif
}

/* The waits that pg_stat_activity names, where the server can. */
typedef enum PgxcWait
{
	PGXC_WAIT_LAUNCHER,
	PGXC_WAIT_DUTY,
	PGXC_WAIT_THROTTLE,
	PGXC_WAIT_RETRY,
	PGXC_WAIT_MIGRATION,
	PGXC_WAIT_WORKER_STOP,
	PGXC_WAIT_LOCK,
	PGXC_NUM_WAITS
} PgxcWait;

/*
 * Look up (and on first use register) a wait event.  Must not be called from
 * _PG_init: the registry needs shared memory.
 */
static inline uint32
pgxc_wait_event(PgxcWait wait)
{
#if PG_VERSION_NUM >= 170000
	static uint32 events[PGXC_NUM_WAITS];
	static const char *const names[PGXC_NUM_WAITS] = {
		"PgxcLauncherMain",  "PgxcDutySleep",  "PgxcThrottle", "PgxcRetryDelay",
		"PgxcMigrationWait", "PgxcWorkerStop", "PgxcLockRetry"
	};

	if (events[wait] == 0)
		events[wait] = WaitEventExtensionNew(names[wait]);
	return events[wait];
#else
	(void) wait;
	return PG_WAIT_EXTENSION;
#endif
}

/* May userid act as the owner of this relation? */
static inline bool
pgxc_relation_ownercheck(Oid relid, Oid userid)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(RelationRelationId, relid, userid);
#else
	return pg_class_ownercheck(relid, userid);
#endif
}

/* May userid act as the owner of a function, type, schema, extension, role? */
static inline bool
pgxc_object_ownercheck(const ObjectAddress *object, Oid userid)
{
	if (object->classId == AuthIdRelationId)
		return has_createrole_privilege(userid);
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(object->classId, object->objectId, userid);
#else
	switch (object->classId)
	{
		case ProcedureRelationId:
			return pg_proc_ownercheck(object->objectId, userid);
		case TypeRelationId:
			return pg_type_ownercheck(object->objectId, userid);
		case NamespaceRelationId:
			return pg_namespace_ownercheck(object->objectId, userid);
		case ExtensionRelationId:
			return pg_extension_ownercheck(object->objectId, userid);
		default:
			return false;
	}
#endif
}

/* May userid CLUSTER, VACUUM, ANALYZE this relation? */
static inline bool
pgxc_may_maintain(Oid relid, Oid userid)
{
#if PG_VERSION_NUM >= 170000
	return pg_class_aclcheck(relid, userid, ACL_MAINTAIN) == ACLCHECK_OK;
#else
	return pgxc_relation_ownercheck(relid, userid);
#endif
}

/* May userid act as the owner of this schema? */
static inline bool
pgxc_schema_ownercheck(Oid schema, Oid userid)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(NamespaceRelationId, schema, userid);
#else
	return pg_namespace_ownercheck(schema, userid);
#endif
}

/* May userid act as the owner of this database? */
static inline bool
pgxc_database_ownercheck(Oid database, Oid userid)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(DatabaseRelationId, database, userid);
#else
	return pg_database_ownercheck(database, userid);
#endif
}

/* From the columns of "from" to those of "to" that have the same names. */
static inline AttrMap *
pgxc_attrmap_by_name(TupleDesc from, TupleDesc to)
{
#if PG_VERSION_NUM >= 160000
	return build_attrmap_by_name(from, to, false);
#else
	return build_attrmap_by_name(from, to);
#endif
}

/* The number of the file that holds the relation's main fork. */
static inline Oid
pgxc_relfilenumber(Relation rel)
{
#if PG_VERSION_NUM >= 160000
	return rel->rd_locator.relNumber;
#else
	return rel->rd_node.relNode;
#endif
}

/* The subtransaction that gave the relation another file; 0: an earlier one. */
static inline SubTransactionId
pgxc_first_file_subid(Relation rel)
{
#if PG_VERSION_NUM >= 160000
	return rel->rd_firstRelfilelocatorSubid;
#else
	return rel->rd_firstRelfilenodeSubid;
#endif
}

/* The tablespace that holds the relation's main fork. */
static inline Oid
pgxc_relation_tablespace(Relation rel)
{
#if PG_VERSION_NUM >= 160000
	return rel->rd_locator.spcOid;
#else
	return rel->rd_node.spcNode;
#endif
}

/* The columns whose change keeps an update from being HOT. */
static inline Bitmapset *
pgxc_hot_blocking_attrs(Relation rel)
{
#if PG_VERSION_NUM >= 160000
	return RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_HOT_BLOCKING);
#else
	return RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_ALL);
#endif
}

static inline int64
pgxc_requested_checkpoints(void)
{
	PgStat_CheckpointerStats *stats = pgstat_fetch_stat_checkpointer();

#if PG_VERSION_NUM >= 170000
	return stats->num_requested;
#else
	return stats->requested_checkpoints;
#endif
}

static inline int64
pgxc_stat_dead_tuples(PgStat_StatTabEntry *entry)
{
#if PG_VERSION_NUM >= 160000
	return entry->dead_tuples;
#else
	return entry->n_dead_tuples;
#endif
}

static inline int64
pgxc_stat_live_tuples(PgStat_StatTabEntry *entry)
{
#if PG_VERSION_NUM >= 160000
	return entry->live_tuples;
#else
	return entry->n_live_tuples;
#endif
}

/* The status entry of one backend; index runs from 1. */
static inline PgBackendStatus *
pgxc_backend_status(int index)
{
#if PG_VERSION_NUM >= 160000
	return &pgstat_get_local_beentry_by_index(index)->backendStatus;
#else
	return &pgstat_fetch_stat_local_beentry(index)->backendStatus;
#endif
}

static inline bool
pgxc_slot_invalidated(ReplicationSlot *slot)
{
#if PG_VERSION_NUM >= 160000
	return slot->data.invalidated != RS_INVAL_NONE;
#else
	return slot->data.invalidated_at != InvalidXLogRecPtr;
#endif
}

/* Is the relation in a publication that publishes updates? */
static inline bool
pgxc_publishes_updates(Relation rel)
{
	PublicationDesc desc;

	RelationBuildPublicationDesc(rel, &desc);
	return desc.pubactions.pubupdate;
}

/* Split a possibly qualified name; throws 42602 if it is none. */
static inline List *
pgxc_split_qualified_name(const char *name)
{
#if PG_VERSION_NUM >= 160000
	return stringToQualifiedNameList(name, NULL);
#else
	return stringToQualifiedNameList(name);
#endif
}

/* Does an UPDATE, as parsed, have a RETURNING list? */
static inline bool
pgxc_update_has_returning(UpdateStmt *stmt)
{
#if PG_VERSION_NUM >= 180000
	return stmt->returningClause != NULL;
#else
	return stmt->returningList != NIL;
#endif
}

/* The columns that a query reads of a table, or NULL if nobody asks. */
static inline Bitmapset **
pgxc_selected_columns(Query *query, RangeTblEntry *rte)
{
#if PG_VERSION_NUM >= 160000
	if (rte->perminfoindex == 0)
		return NULL;
	return &getRTEPermissionInfo(query->rteperminfos, rte)->selectedCols;
#else
	(void) query;
	return &rte->selectedCols;
#endif
}

/* The columns that an UPDATE assigns in one of its tables. */
static inline List *
pgxc_update_columns(ModifyTableState *state, int index)
{
#if PG_VERSION_NUM >= 180000
	return (List *) list_nth(state->mt_updateColnosLists, index);
#else
	return (List *) list_nth(
		castNode(ModifyTable, state->ps.plan)->updateColnosLists, index);
#endif
}

/* Where a setting is stored; NULL if there is none of that name. */
static inline struct config_generic *
pgxc_find_setting(const char *name)
{
#if PG_VERSION_NUM >= 160000
	return find_option(name, false, true, 0);
#else
	struct config_generic **settings = get_guc_variables();
	int n = GetNumConfigOptions();

	for (int i = 0; i < n; i++)
		if (pg_strcasecmp(settings[i]->name, name) == 0)
			return settings[i];
	return NULL;
#endif
}

/* The type that a text names; throws 42704 and 42601. */
static inline void
pgxc_parse_type(const char *name, Oid *typid, int32 *typmod)
{
#if PG_VERSION_NUM >= 160000
	(void) parseTypeString(name, typid, typmod, NULL);
#else
	parseTypeString(name, typid, typmod, false);
#endif
}

/* Make an index in the catalog only, to see whether it could be made. */
static inline void
pgxc_define_index_without_build(Oid relid, IndexStmt *stmt)
{
#if PG_VERSION_NUM >= 160000
	(void) DefineIndex(relid, stmt, InvalidOid, InvalidOid, InvalidOid, -1,
					   false, false, false, true, true);
#else
	(void) DefineIndex(relid, stmt, InvalidOid, InvalidOid, InvalidOid, false,
					   false, false, true, true);
#endif
}

/* Run all of a portal, at the top level. */
static inline void
pgxc_portal_run(Portal portal, DestReceiver *dest)
{
#if PG_VERSION_NUM >= 180000
	(void) PortalRun(portal, FETCH_ALL, true, dest, dest, NULL);
#else
	(void) PortalRun(portal, FETCH_ALL, true, true, dest, dest, NULL);
#endif
}

/* What a constraint NOT NULL is in pg_constraint; no other has a zero. */
#if PG_VERSION_NUM >= 170000
#define PGXC_CONSTRAINT_NOTNULL CONSTRAINT_NOTNULL
#else
#define PGXC_CONSTRAINT_NOTNULL '\0'
#endif

/* GRANT holds a lock on the relations that it names. */
#define PGXC_GRANT_KEEPS_LOCKS (PG_VERSION_NUM >= 180000)

/* A new column of a table's row type holds a lock on that table. */
#define PGXC_KEEPS_ROW_TYPE_LOCKS (PG_VERSION_NUM < 160000)

/* Is the column known to hold no null?  18 has NOT NULL ... NOT VALID. */
static inline bool
pgxc_column_is_not_null(TupleDesc desc, AttrNumber attnum)
{
#if PG_VERSION_NUM >= 180000
	return TupleDescCompactAttr(desc, attnum - 1)->attnullability ==
		   ATTNULLABLE_VALID;
#else
	return TupleDescAttr(desc, attnum - 1)->attnotnull;
#endif
}

/* Does a constraint, as parsed, hold at all?  18 has NOT ENFORCED. */
static inline bool
pgxc_constraint_def_enforced(const Constraint *constraint)
{
#if PG_VERSION_NUM >= 180000
	/* Others have no such word, and the parser leaves the field alone. */
	return constraint->is_enforced || (constraint->contype != CONSTR_CHECK &&
									   constraint->contype != CONSTR_FOREIGN);
#else
	return true;
#endif
}

/* Is that written after one of the constraints of a column? */
static inline bool
pgxc_constraint_not_enforced_here(List *constraints, const Constraint *which)
{
#if PG_VERSION_NUM >= 180000
	bool here = false;
	ListCell *lc;

	foreach (lc, constraints)
	{
		const Constraint *constraint = lfirst_node(Constraint, lc);

		switch (constraint->contype)
		{
			case CONSTR_ATTR_NOT_ENFORCED:
				if (here)
					return true;
				break;
			case CONSTR_ATTR_ENFORCED:
			case CONSTR_ATTR_DEFERRABLE:
			case CONSTR_ATTR_NOT_DEFERRABLE:
			case CONSTR_ATTR_DEFERRED:
			case CONSTR_ATTR_IMMEDIATE:
				break;
			default:
				here = constraint == which;
		}
	}
#endif
	return false;
}

/* The same of one in the catalog. */
static inline bool
pgxc_constraint_enforced(Form_pg_constraint form)
{
#if PG_VERSION_NUM >= 180000
	return form->conenforced;
#else
	return true;
#endif
}

/* Of ranges: WITHOUT OVERLAPS, or PERIOD in a foreign key. */
static inline bool
pgxc_constraint_def_period(const Constraint *constraint)
{
#if PG_VERSION_NUM >= 180000
	return constraint->without_overlaps || constraint->fk_with_period;
#else
	return false;
#endif
}

static inline bool
pgxc_constraint_period(Form_pg_constraint form)
{
#if PG_VERSION_NUM >= 180000
	return form->conperiod;
#else
	return false;
#endif
}

/* What ALTER CONSTRAINT asks for. */
typedef struct PgxcAlterConstraint
{
	const char *conname;
	bool alter_enforced;
	bool enforced;
	bool alter_deferrable;
	bool deferrable;
	bool initdeferred;
	bool alter_inherit;
	bool noinherit;
} PgxcAlterConstraint;

static inline PgxcAlterConstraint
pgxc_alter_constraint_options(const Node *def)
{
	PgxcAlterConstraint options = { 0 };
#if PG_VERSION_NUM >= 180000
	const ATAlterConstraint *d = castNode(ATAlterConstraint, (Node *) def);

	options.alter_enforced = d->alterEnforceability;
	options.enforced = d->is_enforced;
	options.alter_deferrable = d->alterDeferrability;
	options.alter_inherit = d->alterInheritability;
	options.noinherit = d->noinherit;
#else
	const Constraint *d = castNode(Constraint, (Node *) def);

	options.alter_deferrable = true;
#endif
	options.conname = d->conname;
	options.deferrable = d->deferrable;
	options.initdeferred = d->initdeferred;
	return options;
}

#if PG_VERSION_NUM >= 180000
/* ADD CONSTRAINT locks all descendants first, whatever it adds. */
#define PGXC_ADD_CONSTRAINT_LOCKS_ALL 1
/* NOT NULL is a constraint of its own. */
#define PGXC_HAVE_NOT_NULL_CONSTRAINTS 1
/* Foreign keys of partitioned tables may be NOT VALID. */
#define PGXC_HAVE_PARTITIONED_NOT_VALID 1
/* A foreign key that becomes a partition's loses all triggers on the other
 * side, not only those on the referenced table itself. */
#define PGXC_ATTACHED_KEY_LOSES_ALL_TRIGGERS 1
/* ALTER CONSTRAINT visits partitions only where something changes. */
#define PGXC_ALTER_CONSTRAINT_LOOKS_FIRST 1
#endif

#if PG_VERSION_NUM >= 160000
/* The planner opens the indexes of partitioned tables, too. */
#define PGXC_PLANNER_OPENS_PARTITIONED_INDEXES 1
#endif

/* Does ATTACH take a partition's own foreign key that is NOT VALID? */
#define PGXC_ATTACHES_UNVALIDATED_KEYS (PG_VERSION_NUM >= 180000)

/* Is a constraint enforced?  Before 18 all are. */
static inline bool
pgxc_constraint_is_enforced(Form_pg_constraint constraint)
{
#if PG_VERSION_NUM >= 180000
	return constraint->conenforced;
#else
	(void) constraint;
	return true;
#endif
}

#if PG_VERSION_NUM >= 170000
#define PGXC_HAVE_SET_EXPRESSION 1
#define PGXC_HAVE_TRANSACTION_TIMEOUT 1
#endif

#if PG_VERSION_NUM >= 180000
#define PGXC_VACUUM_TAKES_CHILDREN 1 /* of inheritance, not only partitions */
#endif

/* reverse(text): 18 has another one besides. */
#if PG_VERSION_NUM >= 180000
#define PGXC_F_REVERSE_TEXT F_REVERSE_TEXT
#else
#define PGXC_F_REVERSE_TEXT F_REVERSE
#endif

/* The sequence of an identity column; InvalidOid if there is none. */
static inline Oid
pgxc_identity_sequence(Relation rel, AttrNumber attnum)
{
#if PG_VERSION_NUM >= 170000
	return getIdentitySequence(rel, attnum, true);
#else
	return getIdentitySequence(RelationGetRelid(rel), attnum, true);
#endif
}

/* Does the constraint, as parsed, say GENERATED ... VIRTUAL? */
static inline bool
pgxc_constraint_is_virtual(const Constraint *constraint)
{
#if PG_VERSION_NUM >= 180000
	return constraint->generated_kind == ATTRIBUTE_GENERATED_VIRTUAL;
#else
	(void) constraint;
	return false;
#endif
}

/* Is the column generated whenever it is read? */
static inline bool
pgxc_is_virtual_column(Form_pg_attribute attr)
{
#if PG_VERSION_NUM >= 180000
	return attr->attgenerated == ATTRIBUTE_GENERATED_VIRTUAL;
#else
	(void) attr;
	return false;
#endif
}

/* The expression with what virtual columns stand for. */
static inline Node *
pgxc_expand_virtual_columns(Node *node, Relation rel)
{
#if PG_VERSION_NUM >= 180000
	return expand_generated_columns_in_expr(node, rel, 1);
#else
	(void) rel;
	return node;
#endif
}

/* The name of the column's not-null constraint, if it is not valid; or NULL. */
static inline char *
pgxc_invalid_not_null(Relation rel, AttrNumber attnum)
{
	char *name = NULL;
#if PG_VERSION_NUM >= 180000
	HeapTuple tuple =
		findNotNullConstraintAttnum(RelationGetRelid(rel), attnum);

	if (HeapTupleIsValid(tuple))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

		if (!form->convalidated)
			name = pstrdup(NameStr(form->conname));
		heap_freetuple(tuple);
	}
#else
	(void) rel;
	(void) attnum;
#endif
	return name;
}

/* Identity of a partitioned table is that of its partitions, too. */
#if PG_VERSION_NUM >= 170000
#define PGXC_IDENTITY_RECURSES true
#else
#define PGXC_IDENTITY_RECURSES false
#endif

/* A foreign key looks at collations. */
#if PG_VERSION_NUM >= 180000
#define PGXC_FOREIGN_KEYS_KNOW_COLLATIONS 1
#endif

#endif /* PGXC_COMPAT_H */
