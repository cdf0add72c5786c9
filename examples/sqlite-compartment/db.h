/*
 * What the two cVMs agree on. word[0] is the operation:
 *	DB_QUERY: word[1] bytes of SQL behind cap[0]; rows as text go behind cap[1]. Answer: an SQLite result code in word[0],
 *	the bytes of text in word[1].
 *	DB_END: the service ends.
 */
#ifndef DB_H
#define DB_H

#define DB_QUERY 1
#define DB_END 2

#endif
