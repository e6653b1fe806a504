/*
 * nearest.c - see nearest.h
 */
#include "nearest.h"

#include <string.h>

static unsigned min(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Letters to insert, remove, replace, or swap with their neighbour, to make one word the other. */
static unsigned edit_distance(const char *a, const char *b)
{
    unsigned rows[3][CTL_NEAREST_MAX + 2];
    unsigned *before = rows[0], *last = rows[1], *row = rows[2];
    size_t n_a = strlen(a), n_b = strlen(b);

    for (unsigned j = 0; j <= n_b; j++)
        last[j] = j;
    for (unsigned i = 1; i <= n_a; i++) {
        unsigned *spare = before;

        row[0] = i;
        for (unsigned j = 1; j <= n_b; j++) {
            row[j] = min(last[j - 1] + (a[i - 1] != b[j - 1]), min(last[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = min(row[j], before[j - 2] + 1);
        }
        before = last;
        last = row;
        row = spare;
    }
    return last[n_b];
}

void ctl_nearest_start(struct ctl_nearest *n, const char *word)
{
    *n = (struct ctl_nearest){.word = word};
    /* A third of the letters may be wrong: more is another word. */
    n->distance = (unsigned)strlen(word) / 3 + 1;
    if (n->distance > 3)
        n->distance = 3;
}

void ctl_nearest_try(struct ctl_nearest *n, const char *candidate)
{
    size_t n_word = strlen(n->word), n_candidate = strlen(candidate);
    unsigned distance;

    if (n_word == 0 || n_word > CTL_NEAREST_MAX || n_candidate > CTL_NEAREST_MAX)
        return;
    distance = edit_distance(n->word, candidate);
    if (n_word > 1 && strncmp(candidate, n->word, n_word) == 0)
        distance = 1; /* cut short */
    if (distance > n->distance || (distance == n->distance && n->best[0] != '\0') ||
        distance >= n_candidate)
        return;
    n->distance = distance;
    memcpy(n->best, candidate, n_candidate + 1);
}
