#ifndef SCHEDULE_ASK_H_
#define SCHEDULE_ASK_H_

/*
 * What a test of handlers asks about schedules, as text: tests run in worker
 * processes, which cannot read the time zones.
 *
 * Floor: 1 (schedule).  May include base/, json/.
 */

#include <stdint.h>

#include "base/compiler.h"

struct err;

/**
 * schedule_ask(declared, after_unix_s, ret_json, err):
 * When each schedule that a script has declared (struct proto_loaded) is due
 * next after that time: {NAME: unix seconds}; one that is never due is not in
 * there.
 *
 * Errors:    ERR_INVALID      one of them is bad: "file:line: why".
 * Ownership: the caller frees *${ret_json} with free().
 * Thread:    any; reads files of tzdata.
 */
int schedule_ask(const char *declared, int64_t after_unix_s, char **ret_json,
    struct err *err) ATTR_MUSTCHECK;

#endif /* !SCHEDULE_ASK_H_ */
