/*
 * account.h - the accounts of users: how many objects each made, and how many pages these were
 * granted
 *
 * They lie in the registry's heap and change in its sections; quota.h says what is made of them.
 */
#ifndef BRI_ACCOUNT_H
#define BRI_ACCOUNT_H

#include "core/guard.h"

struct bri_audit;

/* The account of @uid, and where the link to it is; NOTFOUND, CORRUPT. */
int bri_account_find(const struct bri_object *registry, uint32_t uid, uint64_t **out_link,
    struct bri_account_shm **out_account);

/* The account of @uid, which is made if there is none. In a section of the registry. */
int bri_account_open(struct bri_txn *t, uint32_t uid, struct bri_account_shm **out_account);

/* Takes so much off, and the account away when nothing is left. */
void bri_account_take_off(struct bri_txn *t, uint32_t uid, uint64_t n_objects, uint64_t n_pages);

/* Compares the accounts with the objects that there are. With the registry's guard held. */
void bri_account_audit(const struct bri_object *registry, struct bri_audit *audit);

#endif
