/* The policy itself; policy.h says what it does. */
#include "policy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char HEADER[] = "version 1\n";

const struct parameter PARAMETERS[PARAMETER_COUNT] = {
    {"waiting_min", "count", "1", "requests waiting in an engine, on average, that call for more slots"},
    {"settle_s", "s", "20", "time after a change before the next one"},
};

bool policy_set(struct policy *policy, const char *name, const char *text, char *error, size_t error_size) {
    double *field = NULL;
    if (strcmp(name, "waiting_min") == 0) field = &policy->waiting_min;
    if (strcmp(name, "settle_s") == 0) field = &policy->settle_s;
    if (field == NULL) {
        snprintf(error, error_size, "`%s` is unknown; there are waiting_min, settle_s", name);
        return false;
    }
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= 0 && value < 1e12)) {
        snprintf(error, error_size, "`%s` is %s; it takes a number from 0", name, text);
        return false;
    }
    *field = value;
    return true;
}

struct engine *policy_engine(struct policy *policy, const char *scope, size_t length) {
    for (size_t at = 0; at < policy->engine_count; at++) {
        struct engine *engine = &policy->engines[at];
        if (strlen(engine->scope) == length && memcmp(engine->scope, scope, length) == 0) return engine;
    }
    if (policy->engine_count == ENGINES_MAX || length >= SCOPE_MAX) return NULL;
    struct engine *added = &policy->engines[policy->engine_count++];
    memset(added, 0, sizeof *added);
    memcpy(added->scope, scope, length);
    added->waiting = -1;
    return added;
}

bool policy_propose(struct policy *policy, uint64_t now_ms, struct change *change) {
    if (now_ms - policy->changed_ms < policy->settle_s * 1000) return false;
    for (size_t at = 0; at < policy->engine_count; at++) {
        struct engine *engine = &policy->engines[at];
        if (engine->most == 0 || engine->slots == 0 || engine->waiting < policy->waiting_min) continue;
        int64_t most = engine->most;
        if (engine->ceiling > 0 && engine->ceiling - 1 < most) most = engine->ceiling - 1;
        int64_t wanted = engine->slots + (engine->slots / 2 > 1 ? engine->slots / 2 : 1);
        if (wanted > most) wanted = most;
        if (wanted <= engine->slots) continue;
        policy->changed_ms = now_ms;
        change->scope = engine->scope;
        change->slots = wanted;
        snprintf(change->reason, sizeof change->reason,
                 "%.1f requests wait for one of %" PRId64 " slots: try %" PRId64, engine->waiting, engine->slots, wanted);
        return true;
    }
    return false;
}

size_t policy_save(const struct policy *policy, char *text, size_t size) {
    size_t length = 0;
    for (size_t at = 0; at < policy->engine_count; at++) {
        const struct engine *engine = &policy->engines[at];
        if (engine->ceiling == 0) continue;
        const char *header = length == 0 ? HEADER : "";
        int written = snprintf(text + length, size - length, "%s%" PRId64 " %s\n", header, engine->ceiling, engine->scope);
        if (written < 0 || (size_t)written >= size - length) return 0;
        length += (size_t)written;
    }
    return length;
}

bool policy_restore(struct policy *policy, const char *text, size_t length) {
    for (size_t at = 0; at < policy->engine_count; at++) policy->engines[at].ceiling = 0;
    if (length == 0) return true;
    size_t header = strlen(HEADER);
    if (length < header || memcmp(text, HEADER, header) != 0) return false;
    for (const char *line = text + header, *end = text + length; line < end;) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        char *scope;
        long long ceiling = strtoll(line, &scope, 10);
        if (stop == NULL || ceiling <= 0 || scope >= stop || *scope != ' ') return false;
        scope++;
        struct engine *engine = policy_engine(policy, scope, (size_t)(stop - scope));
        if (engine == NULL) return false;
        engine->ceiling = ceiling;
        line = stop + 1;
    }
    return true;
}

static float load_of(struct load load) {
    return (float)(load.in_flight + load.queued + 1) / (load.weight > 0.01f ? load.weight : 0.01f);
}

size_t policy_order(const struct load *loads, size_t count, uint32_t *order) {
    bool is_any_on = false;
    for (size_t at = 0; at < count; at++) is_any_on = is_any_on || loads[at].weight > 0;
    size_t used = 0;
    for (size_t at = 0; at < count; at++) {
        if (is_any_on && loads[at].weight <= 0) continue;
        size_t place = used++;
        /* Insertion: there are few candidates, and equal ones keep the host's order. */
        for (; place > 0 && load_of(loads[order[place - 1]]) > load_of(loads[at]); place--) order[place] = order[place - 1];
        order[place] = (uint32_t)at;
    }
    return used;
}
