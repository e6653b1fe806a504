/*
 * What is special about a terminal: colours, and text that is longer than it.
 */
#ifndef CTL_PAGE_H
#define CTL_PAGE_H

#include "ctl.h"

/* Whether to colour what goes to stdout. */
bool ctl_wants_color(const struct ctl *ctl);

/*
 * Prints @text, which has @size bytes; through a pager if stdout is a terminal with fewer lines.
 */
void ctl_page(const struct ctl *ctl, const char *text, size_t size);

#endif
