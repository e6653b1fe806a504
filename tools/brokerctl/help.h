/*
 * Help, made from the generated table.
 */
#ifndef CTL_HELP_H
#define CTL_HELP_H

#include <stdio.h>

#include "ctl.h"

/*
 * The help of an operation as argp wants it: what stands before the options, then after a \v what
 * comes behind. To be freed; NULL without memory.
 */
char *ctl_help_operation(const struct ctl_operation *op);

/* The words of an operation behind its name: "NAME KEY [VALUE]". */
void ctl_args_doc(const struct ctl_operation *op, char *out, size_t size);

/* The name of an argument as a word of the usage: "MAX-ITEMS". */
void ctl_word_name(const char *name, char *out, size_t size);

/* The name of an argument as an option, without its dashes: "max-items". */
void ctl_flag_name(const char *name, char *out, size_t size);

/* Writes @text to @f in lines of at most 79 columns, each behind @indent spaces but the first. */
void ctl_wrap(FILE *f, const char *text, unsigned column, unsigned indent);

#endif
