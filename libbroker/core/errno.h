/*
 * errno.h - errno into our codes: the one place, used right at the system call
 */
#ifndef BRI_ERRNO_H
#define BRI_ERRNO_H

#include <errno.h>

#include <broker/errors.h>

static inline int bri_from_errno(int e)
{
    switch (e) {
    case ENOMEM:
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return BROKER_NOMEM;
    case EACCES:
    case EPERM:
        return BROKER_ACCESS;
    case EMFILE:
    case ENFILE:
        return BROKER_LIMIT;
    default:
        return BROKER_SYSTEM;
    }
}

#endif
