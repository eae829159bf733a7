/* From the contract's exports (wit/strategy.wit) to the policy and back: the only file that knows the component model.
 *
 * `strategy.h` is generated. What a call is given belongs to the callee, which frees it; what it answers with must come
 * from malloc, and the generated code frees that.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy.h"
#include "strategy.h"

typedef exports_perfhost_strategy_control_fault_t fault;

/* Each instance has a memory of its own: this is the state of one. */
static struct policy policy = POLICY_INITIAL;

static bool is_word(const strategy_string_t *text, const char *word) {
    return text->len == strlen(word) && memcmp(text->ptr, word, text->len) == 0;
}

/* Copies a text that carries its length into one that ends with a zero, cut to `size`. */
static const char *copied(const strategy_string_t *text, char *into, size_t size) {
    size_t length = text->len < size ? text->len : size - 1;
    memcpy(into, text->ptr, length);
    into[length] = '\0';
    return into;
}

static strategy_list_string_t words(const char *word) {
    strategy_list_string_t list = {malloc(sizeof(strategy_string_t)), 1};
    strategy_string_dup(list.ptr, word);
    return list;
}

void exports_perfhost_strategy_control_describe(exports_perfhost_strategy_control_description_t *ret) {
    strategy_string_dup(&ret->name, "{{name}}");
    strategy_string_dup(&ret->version, "0.1.0");
    strategy_string_dup(&ret->summary,
                        "raises engine slots while requests wait, and sends each request to the least loaded provider");
    strategy_string_dup(&ret->goal, "no request waits in an engine for a slot");
    ret->reads = words("engine_requests_deferred");
    ret->turns = words("engine_slots");
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
    struct policy wanted = policy;
    char name[64], text[64], error[256];
    bool is_right = true;
    for (size_t at = 0; at < PARAMETER_COUNT; at++) {
        policy_set(&wanted, PARAMETERS[at].name, PARAMETERS[at].default_text, error, sizeof error);
    }
    for (size_t at = 0; is_right && at < parameters->len; at++) {
        copied(&parameters->ptr[at].f0, name, sizeof name);
        copied(&parameters->ptr[at].f1, text, sizeof text);
        is_right = policy_set(&wanted, name, text, error, sizeof error);
    }
    for (size_t at = 0; at < wanted.engine_count; at++) wanted.engines[at].most = 0;
    for (size_t at = 0; at < knobs->len; at++) {
        exports_perfhost_strategy_control_knob_t *knob = &knobs->ptr[at];
        if (!is_word(&knob->name, "engine_slots") || knob->bounds.tag != PERFHOST_STRATEGY_TYPES_BOUNDS_INTEGER_RANGE) continue;
        struct engine *engine = policy_engine(&wanted, (char *)knob->scope.ptr, knob->scope.len);
        if (engine != NULL) engine->most = knob->bounds.val.integer_range.f1;
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

/* Brings each engine's slots and waiting requests up to date with the observation. */
static void look_at(const exports_perfhost_strategy_control_observation_t *seen) {
    for (size_t at = 0; at < policy.engine_count; at++) {
        struct engine *engine = &policy.engines[at];
        engine->slots = 0;
        engine->waiting = -1;
        for (size_t other = 0; other < seen->settings.len; other++) {
            perfhost_strategy_types_setting_t *setting = &seen->settings.ptr[other];
            if (setting->value.tag == PERFHOST_STRATEGY_TYPES_VALUE_INTEGER && is_word(&setting->name, "engine_slots") &&
                is_word(&setting->scope, engine->scope)) {
                engine->slots = setting->value.val.integer;
            }
        }
        uint32_t shortest_ms = UINT32_MAX;
        for (size_t other = 0; other < seen->metrics.len; other++) {
            perfhost_strategy_types_metric_t *metric = &seen->metrics.ptr[other];
            if (metric->summary.count > 0 && metric->window_ms < shortest_ms &&
                is_word(&metric->name, "engine_requests_deferred") && is_word(&metric->scope, engine->scope)) {
                shortest_ms = metric->window_ms;
                engine->waiting = metric->summary.mean;
            }
        }
    }
}

bool exports_perfhost_strategy_control_propose(exports_perfhost_strategy_control_observation_t *seen,
                                               exports_perfhost_strategy_control_list_proposal_t *ret, fault *err) {
    (void)err;
    struct change change;
    look_at(seen);
    ret->ptr = NULL;
    ret->len = 0;
    if (policy_propose(&policy, seen->now_ms, &change)) {
        exports_perfhost_strategy_control_proposal_t *proposal = malloc(sizeof *proposal);
        strategy_string_dup(&proposal->name, "engine_slots");
        strategy_string_dup(&proposal->scope, change.scope);
        proposal->value.tag = PERFHOST_STRATEGY_TYPES_VALUE_INTEGER;
        proposal->value.val.integer = change.slots;
        strategy_string_dup(&proposal->reason, change.reason);
        proposal->expected.is_some = true;
        strategy_string_dup(&proposal->expected.val.metric, "tokens_per_second");
        proposal->expected.val.ratio = 1.1;
        proposal->confidence = 0.5;
        ret->ptr = proposal;
        ret->len = 1;
    }
    exports_perfhost_strategy_control_observation_free(seen);
    return true;
}

void exports_perfhost_strategy_control_learn(exports_perfhost_strategy_control_list_outcome_t *outcomes) {
    for (size_t at = 0; at < outcomes->len; at++) {
        exports_perfhost_strategy_control_outcome_t *outcome = &outcomes->ptr[at];
        if (outcome->verdict != EXPORTS_PERFHOST_STRATEGY_CONTROL_VERDICT_ROLLED_BACK) continue;
        if (!is_word(&outcome->name, "engine_slots") || outcome->proposed.tag != PERFHOST_STRATEGY_TYPES_VALUE_INTEGER) continue;
        struct engine *engine = policy_engine(&policy, (char *)outcome->scope.ptr, outcome->scope.len);
        if (engine != NULL) engine->ceiling = outcome->proposed.val.integer;
    }
    exports_perfhost_strategy_control_list_outcome_free(outcomes);
}

void exports_perfhost_strategy_control_save(strategy_list_u8_t *ret) {
    static char text[ENGINES_MAX * (SCOPE_MAX + 32)];
    ret->len = policy_save(&policy, text, sizeof text);
    ret->ptr = NULL;
    if (ret->len == 0) return;
    ret->ptr = malloc(ret->len);
    memcpy(ret->ptr, text, ret->len);
}

bool exports_perfhost_strategy_control_restore(strategy_list_u8_t *state, fault *err) {
    bool is_read = policy_restore(&policy, (char *)state->ptr, state->len);
    strategy_list_u8_free(state);
    if (!is_read) {
        err->tag = PERFHOST_STRATEGY_TYPES_FAULT_UNSUPPORTED;
        strategy_string_dup(&err->val.unsupported, "state of another form; this strategy reads version 1");
    }
    return is_read;
}

/* The policy ranks by numbers alone, so the names are not kept. */
void exports_perfhost_strategy_route_fleet(exports_perfhost_strategy_route_fleet_names_t *names) {
    exports_perfhost_strategy_route_fleet_names_free(names);
}

void exports_perfhost_strategy_route_plan_request(exports_perfhost_strategy_route_request_t *asked,
                                                  exports_perfhost_strategy_route_list_candidate_t *candidates,
                                                  exports_perfhost_strategy_route_plan_t *ret) {
    size_t count = candidates->len;
    struct load *loads = malloc(count * sizeof *loads);
    for (size_t at = 0; at < count; at++) {
        exports_perfhost_strategy_route_candidate_t *one = &candidates->ptr[at];
        loads[at] = (struct load){one->in_flight, one->queued, one->weight};
    }
    ret->order.ptr = malloc(count * sizeof *ret->order.ptr);
    ret->order.len = policy_order(loads, count, ret->order.ptr);
    ret->cache_read = ret->cache_write = asked->deterministic;
    ret->cache_ttl_ms = ret->first_byte_timeout_ms = ret->hedge_after_ms = 0; /* zeros: the settings' own values */
    ret->priority = asked->priority;
    free(loads);
    exports_perfhost_strategy_route_request_free(asked);
    exports_perfhost_strategy_route_list_candidate_free(candidates);
}
