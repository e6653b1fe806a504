/*
 * verify.h - comparing what the broker has with what the ledger says
 */
#ifndef STRESS_VERIFY_H
#define STRESS_VERIFY_H

#include <stdbool.h>

#include "ledger.h"

/*
 * With all lives over: takes everything out of the objects, checks that nothing is lost and nothing
 * happened twice, and destroys all. Says what is wrong and gives false.
 */
bool verify_all(struct ledger *l, const char *address);

#endif
