/*
 * curve.h - what a test's broker needs to be reached over tcp: keys, and a port
 *
 * What fails in here ends the test program with a message.
 */
#ifndef TESTS_CURVE_H
#define TESTS_CURVE_H

#define CURVE_KEY_TEXT 41 /* a key as text, with the NUL */

/* Has $BROKERCTL make a pair of keys: @path, and @path.pub with the public one, which is given. */
void curve_make_key(const char *path, char out_public[CURVE_KEY_TEXT]);

/* A port of this machine that nobody else is given while this process lives. */
unsigned curve_take_port(void);

#endif
