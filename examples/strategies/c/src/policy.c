/* The policy itself; policy.h says what it does. */
#include "policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct parameter PARAMETERS[PARAMETER_COUNT] = {
    {"stickiness", "ratio", "0.3", "share of the work that a session's own provider is spared; 0 for none"},
    {"load_ms", "ms", "5000", "time to load a model that is not resident"},
};

/* Stands for a latency that nobody has measured yet, when all are unknown. Any value would do. */
static const double UNKNOWN_MS = 1000;

bool policy_set(struct policy *policy, const char *name, const char *text, char *error, size_t error_size) {
    bool is_stickiness = strcmp(name, "stickiness") == 0;
    if (!is_stickiness && strcmp(name, "load_ms") != 0) {
        snprintf(error, error_size, "`%s` is unknown; there are stickiness, load_ms", name);
        return false;
    }
    double most = is_stickiness ? 1 : 3600000;
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= 0 && value <= most)) {
        snprintf(error, error_size, "`%s` is %s; it takes a number from 0 to %.0f", name, text, most);
        return false;
    }
    *(is_stickiness ? &policy->stickiness : &policy->load_ms) = value;
    return true;
}

/* The mixing step of splitmix64. */
static uint64_t mixed(uint64_t value) {
    value += 0x9e3779b97f4a7c15;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    return value ^ (value >> 31);
}

uint32_t policy_home(uint64_t session, const struct candidate *candidates, size_t count) {
    uint32_t home = candidates[0].target;
    uint64_t highest = 0;
    for (size_t at = 0; at < count; at++) {
        uint64_t hash = mixed(session ^ mixed(candidates[at].target));
        if (hash >= highest) {
            highest = hash;
            home = candidates[at].target;
        }
    }
    return home;
}

double policy_work(const struct policy *policy, const struct candidate *candidate, double typical_ms, bool is_home) {
    double latency_ms = candidate->latency_p50_ms > 0 ? candidate->latency_p50_ms : typical_ms;
    double waiting = candidate->in_flight + candidate->queued + 1.0;
    double weight = candidate->weight > 0.01f ? candidate->weight : 0.01;
    double work_ms = waiting * latency_ms / weight;
    /* Each failure costs another attempt. */
    double success = 1 - candidate->error_rate;
    work_ms /= success > 0.05 ? success : 0.05;
    if (is_home) work_ms *= 1 - policy->stickiness;
    work_ms *= 1 - policy->stickiness * candidate->prefix_match;
    return candidate->is_resident ? work_ms : work_ms + policy->load_ms;
}

/* The mean of the latencies that were measured. */
static double typical_latency_ms(const struct candidate *candidates, size_t count) {
    double sum = 0;
    size_t measured = 0;
    for (size_t at = 0; at < count; at++) {
        if (candidates[at].latency_p50_ms <= 0) continue;
        sum += candidates[at].latency_p50_ms;
        measured++;
    }
    return measured > 0 ? sum / (double)measured : UNKNOWN_MS;
}

size_t policy_order(const struct policy *policy, uint64_t session, const struct candidate *candidates, size_t count,
                    uint32_t *order) {
    double work_ms[CANDIDATES_MAX];
    if (count > CANDIDATES_MAX) count = CANDIDATES_MAX;
    double typical_ms = typical_latency_ms(candidates, count);
    uint32_t home = policy_home(session, candidates, count);
    bool is_any_on = false;
    for (size_t at = 0; at < count; at++) {
        is_any_on = is_any_on || candidates[at].weight > 0;
        work_ms[at] = policy_work(policy, &candidates[at], typical_ms, session != 0 && candidates[at].target == home);
    }
    size_t used = 0;
    for (size_t at = 0; at < count; at++) {
        if (is_any_on && candidates[at].weight <= 0) continue;
        size_t place = used++;
        /* Insertion: there are few candidates, and equal ones keep the host's order. */
        for (; place > 0 && work_ms[order[place - 1]] > work_ms[at]; place--) order[place] = order[place - 1];
        order[place] = (uint32_t)at;
    }
    return used;
}
