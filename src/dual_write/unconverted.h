/*
 * unconverted.h
 *		Writes of the application that the new column could not hold.
 */
#ifndef PGXC_UNCONVERTED_H
#define PGXC_UNCONVERTED_H

extern void pgxc_note_unconverted(int64 migration, const char *column,
								  int sqlerrcode);

#endif /* PGXC_UNCONVERTED_H */
