/*
 * level.h - the words for how important a message is
 */
#ifndef BROKERD_LEVEL_H
#define BROKERD_LEVEL_H

#include <stdbool.h>

#define BROKERD_LEVELS "error, warning, info or debug"

/* LOG_ERR to LOG_DEBUG; false if it is none of the words. */
bool brokerd_level_read(const char *word, int *out_level);

const char *brokerd_level_word(int level);

#endif
