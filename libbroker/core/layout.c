/*
 * layout.c - which layout this program knows; alone here, so that a test can be a program that
 * knows another one
 */
#include "core/layout.h"

uint32_t bri_layout_version(void)
{
    return BRI_LAYOUT_VERSION;
}
