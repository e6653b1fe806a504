/*
 * next_layout.c - what makes of a program one that knows another layout of memory (-Wl,--wrap)
 */
#include <stdint.h>

uint32_t __wrap_bri_layout_version(void); /* NOLINT: the linker's name */

uint32_t __wrap_bri_layout_version(void) /* NOLINT */
{
    return 99;
}
