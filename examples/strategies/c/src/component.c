/* From the contract's exports (the world `strategy`) to the policy and back: the only file that knows the component model.
 *
 * `strategy.h` is generated. What a call is given belongs to the callee, which frees it; what it answers with must come
 * from malloc, and the generated code frees that.
 */
#include <stdlib.h>
#include <string.h>

#include "policy.h"
#include "strategy.h"

typedef exports_perfhost_strategy_control_fault_t fault;

/* Each instance has a memory of its own: this is the state of one. */
static struct policy policy = POLICY_INITIAL;

/* Copies a text that carries its length into one that ends with a zero, cut to `size`. */
static const char *copied(const strategy_string_t *text, char *into, size_t size) {
    size_t length = text->len < size ? text->len : size - 1;
    memcpy(into, text->ptr, length);
    into[length] = '\0';
    return into;
}

void exports_perfhost_strategy_control_describe(exports_perfhost_strategy_control_description_t *ret) {
    strategy_string_dup(&ret->name, "least-work");
    strategy_string_dup(&ret->version, "0.1.0");
    strategy_string_dup(&ret->summary, "sends each request where the least work is before it, and sessions where they were");
    strategy_string_dup(&ret->goal, "the shortest expected time to an answer, request by request");
    ret->reads = (strategy_list_string_t){NULL, 0};
    ret->turns = (strategy_list_string_t){NULL, 0};
    ret->parameters.len = PARAMETER_COUNT;
    ret->parameters.ptr = malloc(PARAMETER_COUNT * sizeof *ret->parameters.ptr);
    for (size_t at = 0; at < PARAMETER_COUNT; at++) {
        strategy_string_dup(&ret->parameters.ptr[at].name, PARAMETERS[at].name);
        strategy_string_dup(&ret->parameters.ptr[at].unit, PARAMETERS[at].unit);
        strategy_string_dup(&ret->parameters.ptr[at].default_, PARAMETERS[at].default_text);
        strategy_string_dup(&ret->parameters.ptr[at].meaning, PARAMETERS[at].meaning);
    }
}

bool exports_perfhost_strategy_control_configure(strategy_list_tuple2_string_string_t *parameters,
                                                 exports_perfhost_strategy_control_list_knob_t *knobs, fault *err) {
    struct policy wanted = POLICY_INITIAL;
    char name[64], text[64], error[256];
    bool is_right = true;
    for (size_t at = 0; is_right && at < parameters->len; at++) {
        copied(&parameters->ptr[at].f0, name, sizeof name);
        copied(&parameters->ptr[at].f1, text, sizeof text);
        is_right = policy_set(&wanted, name, text, error, sizeof error);
    }
    strategy_list_tuple2_string_string_free(parameters);
    exports_perfhost_strategy_control_list_knob_free(knobs);
    if (is_right) {
        policy = wanted;
    } else {
        err->tag = PERFHOST_STRATEGY_TYPES_FAULT_INVALID_PARAMETER;
        strategy_string_dup(&err->val.invalid_parameter, error);
    }
    return is_right;
}

/* A planner asks for no knob, learns nothing and has nothing to save. */

bool exports_perfhost_strategy_control_propose(exports_perfhost_strategy_control_observation_t *seen,
                                               exports_perfhost_strategy_control_list_proposal_t *ret, fault *err) {
    (void)err;
    *ret = (exports_perfhost_strategy_control_list_proposal_t){NULL, 0};
    exports_perfhost_strategy_control_observation_free(seen);
    return true;
}

void exports_perfhost_strategy_control_learn(exports_perfhost_strategy_control_list_outcome_t *outcomes) {
    exports_perfhost_strategy_control_list_outcome_free(outcomes);
}

void exports_perfhost_strategy_control_save(strategy_list_u8_t *ret) {
    *ret = (strategy_list_u8_t){NULL, 0};
}

bool exports_perfhost_strategy_control_restore(strategy_list_u8_t *state, fault *err) {
    (void)err;
    strategy_list_u8_free(state);
    return true;
}

/* Targets are told apart by number alone, so the names are not kept. */
void exports_perfhost_strategy_route_fleet(exports_perfhost_strategy_route_fleet_names_t *names) {
    exports_perfhost_strategy_route_fleet_names_free(names);
}

void exports_perfhost_strategy_route_plan_request(exports_perfhost_strategy_route_request_t *asked,
                                                  exports_perfhost_strategy_route_list_candidate_t *candidates,
                                                  exports_perfhost_strategy_route_plan_t *ret) {
    static struct candidate known[CANDIDATES_MAX];
    size_t count = candidates->len < CANDIDATES_MAX ? candidates->len : CANDIDATES_MAX;
    for (size_t at = 0; at < count; at++) {
        exports_perfhost_strategy_route_candidate_t *one = &candidates->ptr[at];
        known[at] = (struct candidate){one->target,         one->in_flight,  one->queued,       one->resident,
                                       one->latency_p50_ms, one->error_rate, one->prefix_match, one->weight};
    }
    ret->order.ptr = malloc(count * sizeof *ret->order.ptr);
    ret->order.len = policy_order(&policy, asked->session, known, count, ret->order.ptr);
    ret->cache_read = ret->cache_write = asked->deterministic;
    ret->cache_ttl_ms = ret->first_byte_timeout_ms = ret->hedge_after_ms = 0; /* zeros: the settings' own values */
    ret->priority = asked->priority;
    exports_perfhost_strategy_route_request_free(asked);
    exports_perfhost_strategy_route_list_candidate_free(candidates);
}
