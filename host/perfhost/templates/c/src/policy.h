/* What this strategy decides, in plain C: no bindings here, so that `make test` compiles it with any C compiler.
 *
 * Tuning: an engine gets more slots while requests wait inside it, until a raise was rolled back.
 * Planning: the least loaded candidate first.
 */
#ifndef POLICY_H
#define POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ENGINES_MAX 32
#define SCOPE_MAX 96

/* What a user may set: `perfhost --param waiting_min=2`. */
struct parameter {
    const char *name, *unit, *default_text, *meaning;
};
enum { PARAMETER_COUNT = 2 };
extern const struct parameter PARAMETERS[PARAMETER_COUNT];

/* One engine whose slots can be turned. */
struct engine {
    char scope[SCOPE_MAX];
    int64_t most;    /* slots at most; 0 while the knob is not on offer */
    int64_t ceiling; /* the number of slots that was rolled back: not asked for again; 0 for none */
    int64_t slots;   /* slots now; 0 for unknown */
    double waiting;  /* requests that wait in it, on average; below 0 for unknown */
};

struct policy {
    double waiting_min, settle_s;
    uint64_t changed_ms;
    size_t engine_count;
    struct engine engines[ENGINES_MAX];
};

/* A policy with its parameters at their defaults and nothing to turn yet. */
#define POLICY_INITIAL {.waiting_min = 1, .settle_s = 20}

/* A change of engine_slots to ask for. */
struct change {
    const char *scope;
    int64_t slots;
    char reason[160];
};

struct load {
    uint32_t in_flight, queued;
    float weight;
};

/* Sets one parameter from text. Answers false, and says in `error` what is allowed, when it cannot. */
bool policy_set(struct policy *policy, const char *name, const char *text, char *error, size_t error_size);

/* The engine of that scope, added when there is none yet; NULL when there is no room or the name is too long. */
struct engine *policy_engine(struct policy *policy, const char *scope, size_t length);

/* Whether to change something now, and what: more slots for the first engine in which requests wait. */
bool policy_propose(struct policy *policy, uint64_t now_ms, struct change *change);

/* What must outlive this instance, as text; answers its length, 0 for nothing. */
size_t policy_save(const struct policy *policy, char *text, size_t size);

/* Takes what policy_save gave. Answers false when it cannot read it. */
bool policy_restore(struct policy *policy, const char *text, size_t length);

/* Writes the order in which to try `count` candidates, and answers how many. Called for every request: keep it short. */
size_t policy_order(const struct load *loads, size_t count, uint32_t *order);

#endif
