/*
 * column_traits.h
 *		What belongs to a column itself: settings, rights, comment, sequence.
 */
#ifndef PGXC_COLUMN_TRAITS_H
#define PGXC_COLUMN_TRAITS_H

#include "nodes/pg_list.h"

extern void pgxc_column_copy_settings(Oid relid, const char *from,
									  const char *to, bool same_type);
extern void pgxc_column_copy_acl(Oid relid, const char *from, const char *to);
extern void pgxc_column_copy_comment(Oid relid, const char *from,
									 const char *to);
extern List *pgxc_column_sequences(Oid relid, const char *column);
extern void pgxc_column_move_sequence(Oid relid, Oid sequence, const char *from,
									  const char *to);

#endif /* PGXC_COLUMN_TRAITS_H */
