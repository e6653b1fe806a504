/*
 * level.c - see level.h
 */
#include "level.h"

#include <stddef.h>
#include <string.h>
#include <syslog.h>

static const struct {
    const char *word;
    int level;
} levels[] = {
    {"error", LOG_ERR}, {"warning", LOG_WARNING}, {"info", LOG_INFO}, {"debug", LOG_DEBUG}};

bool brokerd_level_read(const char *word, int *out_level)
{
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
        if (strcmp(levels[i].word, word) == 0) {
            *out_level = levels[i].level;
            return true;
        }
    return false;
}

const char *brokerd_level_word(int level)
{
    const char *word = levels[0].word;

    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
        if (levels[i].level <= level)
            word = levels[i].word;
    return word;
}
