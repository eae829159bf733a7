//! The ranking: what fits, how fast it is or would be, what it loses, and the sentence that says so.

use strategy_kit::Parameters;
use strategy_kit::engine::kv_share;
use strategy_kit::text::Text;
use strategy_kit::types::Hardware;

use crate::bindings::advise::{Advice, Choice};
use crate::quality::{expected_loss, kv_loss};
use crate::speed::TokenTime;

/// What is wanted of memory is multiplied by this before it is compared with what can be had.
const MEMORY_MARGIN: f64 = 1.2;
/// Most pieces of advice, the best ones: more than anybody reads, and fewer than a host takes in one answer.
const ADVICE_MAX: usize = 100;
/// Types of KV cache, best quality first.
const KV_TYPES: [&str; 3] = ["f16", "q8_0", "q4_0"];
/// Part of the published bandwidth scale that is assumed where nothing was measured; only ratios matter then.
const ASSUMED_BYTES_PER_SECOND: f64 = 50e9;

/// What counts for how much.
#[derive(Debug, Clone, Copy)]
pub struct Weights {
    /// Generation speed.
    pub speed: f64,
    /// Memory left free.
    pub memory: f64,
    /// Quality.
    pub quality: f64,
    /// Loss at which quality counts for nothing.
    pub loss_max: f64,
}

impl Weights {
    /// As the user set them.
    pub fn new(parameters: &Parameters) -> Self {
        Self {
            speed: parameters.get("speed_weight"),
            memory: parameters.get("memory_weight"),
            quality: parameters.get("quality_weight"),
            loss_max: parameters.get("quality_loss_max"),
        }
    }
}

/// One variant that fits.
struct Fitting<'a> {
    choice: &'a Choice,
    kv_type: &'static str,
    need_bytes: f64,
    /// It fits only in host memory, although there are graphics processors.
    is_beside_gpu: bool,
    tokens_per_second: f64,
    loss: f64,
}

/// Variants that fit, best first, each with the best KV cache type that lets it fit.
pub fn recommend(
    on: &Hardware,
    context_tokens: u32,
    parallel: u32,
    choices: &[Choice],
    weights: Weights,
) -> Vec<Advice> {
    let (graphics, host) = budgets(on, choices);
    let tokens = f64::from(context_tokens.max(1)) * f64::from(parallel.max(1));
    let measured: Vec<(f64, f64)> = choices
        .iter()
        .filter_map(|choice| Some((choice.size_bytes as f64, f64::from(choice.tokens_per_second?))))
        .collect();
    let token_time = TokenTime::fit(&measured);
    let mut fitting: Vec<Fitting<'_>> = Vec::new();
    for choice in choices.iter().filter(|choice| choice.size_bytes > 0) {
        let need =
            |kv_type: &str| choice.size_bytes as f64 + tokens * choice.kv_bytes_per_token as f64 * kv_share(kv_type);
        let fits = |budget: f64| KV_TYPES.into_iter().find(|kv_type| need(kv_type) * MEMORY_MARGIN <= budget);
        let (kv_type, is_beside_gpu) = match (fits(graphics), fits(host)) {
            (Some(kv_type), _) => (kv_type, false),
            (None, Some(kv_type)) => (kv_type, graphics > 0.0),
            (None, None) => continue,
        };
        let predicted = || match token_time {
            Some(fit) => fit.tokens_per_second(choice.size_bytes as f64),
            None => ASSUMED_BYTES_PER_SECOND / choice.size_bytes as f64,
        };
        let known = |number: Option<f32>| number.map(f64::from).filter(|number| number.is_finite());
        fitting.push(Fitting {
            choice,
            kv_type,
            need_bytes: need(kv_type),
            is_beside_gpu,
            tokens_per_second: known(choice.tokens_per_second).filter(|rate| *rate > 0.0).unwrap_or_else(predicted),
            loss: known(choice.quality_loss).unwrap_or_else(|| expected_loss(f64::from(choice.bits_per_weight)))
                + kv_loss(kv_type),
        });
    }
    let fastest = fitting.iter().map(|one| one.tokens_per_second).fold(0.0, f64::max);
    let mut ranked: Vec<(f64, Advice)> = Vec::with_capacity(fitting.len());
    for one in &fitting {
        let budget = if one.is_beside_gpu || graphics <= 0.0 { host } else { graphics };
        let memory = 1.0 - one.need_bytes * MEMORY_MARGIN / budget;
        let quality = (1.0 - one.loss / weights.loss_max).clamp(0.0, 1.0);
        let score =
            weights.speed * one.tokens_per_second / fastest + weights.memory * memory + weights.quality * quality;
        let advice = Advice {
            model: one.choice.model.clone(),
            variant_name: one.choice.variant_name.clone(),
            kv_type: one.kv_type.to_owned(),
            reason: reason(one, budget, token_time.is_some(), score),
            confidence: confidence(one, token_time.is_some()),
        };
        let place = ranked.iter().position(|(other, _)| score > *other).unwrap_or(ranked.len());
        ranked.insert(place, (score, advice));
    }
    ranked.into_iter().take(ADVICE_MAX).map(|(_, advice)| advice).collect()
}

/// Memory that can be had, in bytes, on graphics processors (0 without them) and on the host. What a loaded variant
/// takes comes back when it is replaced.
fn budgets(on: &Hardware, choices: &[Choice]) -> (f64, f64) {
    let loaded: f64 = choices.iter().filter(|choice| choice.loaded).map(|choice| choice.size_bytes as f64).sum();
    let with_loaded = |free: f64, total: f64| if free > 0.0 { (free + loaded).min(total) } else { 0.0 };
    let graphics_free: f64 = on.gpus.iter().map(|gpu| gpu.memory_free_bytes as f64).sum();
    let graphics_total: f64 = on.gpus.iter().map(|gpu| gpu.memory_total_bytes as f64).sum();
    let host_free = on.memory_free_bytes as f64;
    match on.gpus.is_empty() {
        true => (0.0, with_loaded(host_free, on.memory_total_bytes as f64)),
        false => (with_loaded(graphics_free, graphics_total), host_free),
    }
}

fn confidence(one: &Fitting<'_>, is_calibrated: bool) -> f64 {
    let speed = match (one.choice.tokens_per_second.is_some(), is_calibrated) {
        (true, _) => 0.95,
        (false, true) => 0.75,
        (false, false) => 0.55,
    };
    let quality = if one.choice.quality_loss.is_some() { 1.0 } else { 0.85 };
    let kv = if one.kv_type == "q4_0" { 0.8 } else { 1.0 };
    let place = if one.is_beside_gpu { 0.7 } else { 1.0 };
    speed * quality * kv * place
}

fn reason(one: &Fitting<'_>, budget: f64, is_calibrated: bool, score: f64) -> String {
    let text = Text::new("needs ").mebibytes(one.need_bytes).words(" with a KV cache at ").words(one.kv_type);
    let text = text.words(", times 1.2 of ").mebibytes(budget);
    let text = text.words(if one.is_beside_gpu { " in host memory, beside the GPU; " } else { "; " });
    let text = match (one.choice.tokens_per_second.is_some(), is_calibrated) {
        (true, _) => text.words("measured ").number(one.tokens_per_second).words(" tokens/s"),
        (false, true) => {
            text.words("predicted ").number(one.tokens_per_second).words(" tokens/s from measured variants")
        }
        (false, false) => text.words("speed unmeasured, ranked by size"),
    };
    let kind = if one.choice.quality_loss.is_some() { "; measured loss " } else { "; loss by published figures " };
    text.words(kind).percent(one.loss).words("; score ").number(score).done()
}
