/*
 * image.h - whether a process still has an arena in its memory
 *
 * After exec a process lives on as another program, and nothing tells but that the arena is not
 * mapped any more.
 */
#ifndef BROKERD_IMAGE_H
#define BROKERD_IMAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* True if the process certainly has not mapped @size bytes in one piece: it has less memory than
 * that. Cheap. */
bool brokerd_image_is_smaller(pid_t pid, uint64_t size);

/* True if the process certainly has no part of the file @fd mapped. False as well if we may not
 * know. */
bool brokerd_image_lacks(pid_t pid, int fd);

#endif
