/* How much work a provider has before it, and which one a session belongs to. Plain C, no bindings.
 *
 * Nothing is remembered between requests: an instance that plans must not count on having seen earlier ones.
 */
#ifndef POLICY_H
#define POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CANDIDATES_MAX 256

/* What a user may set, as text. */
struct parameter {
    const char *name, *unit, *default_text, *meaning;
};
enum { PARAMETER_COUNT = 2 };
extern const struct parameter PARAMETERS[PARAMETER_COUNT];

struct policy {
    double stickiness; /* share of the work, 0 to 1, that a session's own provider is spared */
    double load_ms;    /* time to load a model that is not resident */
};
#define POLICY_INITIAL {.stickiness = 0.3, .load_ms = 5000}

/* One candidate, as the contract describes its fields. */
struct candidate {
    uint32_t target, in_flight, queued;
    bool is_resident;
    float latency_p50_ms, error_rate, prefix_match, weight;
};

/* Sets one parameter from text. Answers false, and says in `error` what is allowed, when it cannot. */
bool policy_set(struct policy *policy, const char *name, const char *text, char *error, size_t error_size);

/* The target that a session belongs to: the one with the highest hash of both (rendezvous hashing), so that a target that
 * comes or goes moves no session but its own. `count` is at least 1. */
uint32_t policy_home(uint64_t session, const struct candidate *candidates, size_t count);

/* Expected time in milliseconds until `candidate` would have answered one more request. `typical_ms` stands for a latency
 * that was not measured yet. */
double policy_work(const struct policy *policy, const struct candidate *candidate, double typical_ms, bool is_home);

/* Writes the order in which to try the candidates, least work first, and answers how many: those with weight 0 are left out
 * where there are others, and what is beyond CANDIDATES_MAX. `session` is 0 for none. */
size_t policy_order(const struct policy *policy, uint64_t session, const struct candidate *candidates, size_t count,
                    uint32_t *order);

#endif
