/*
 * Did you mean: the word of several that is nearest to what was typed.
 */
#ifndef CTL_NEAREST_H
#define CTL_NEAREST_H

#define CTL_NEAREST_MAX 63 /* bytes; longer words are near nothing */

struct ctl_nearest {
    const char *word; /* what was typed */
    unsigned distance;
    char best[CTL_NEAREST_MAX + 1]; /* empty as long as nothing is near */
};

void ctl_nearest_start(struct ctl_nearest *n, const char *word);

/* One of the words that could have been meant. */
void ctl_nearest_try(struct ctl_nearest *n, const char *candidate);

#endif
