//! What a user can set, and what the advisor says of itself.

use strategy_kit::{About, ParameterInfo};

/// The advisor's description.
pub const ABOUT: About = About {
    name: "quantization-advisor",
    version: env!("CARGO_PKG_VERSION"),
    summary: "Ranks the variants of a model that fit this machine by speed, memory and quality.",
    goal: "the variant with the best weighted sum of speed, free memory and quality among those that fit",
    reads: &[&["engine_requests_deferred"]],
    turns: &[&["engine_kv_type"]],
    parameters: &[
        ParameterInfo::share(
            "speed_weight",
            0.4,
            "what generation speed counts for, relative to the fastest variant that fits",
        ),
        ParameterInfo::share("memory_weight", 0.3, "what memory left free counts for, as a share of what can be had"),
        ParameterInfo::share("quality_weight", 0.3, "what quality counts for: 1 without loss, 0 at quality_loss_max"),
        ParameterInfo::number(
            "quality_loss_max",
            "ratio",
            0.1,
            (0.001, 10.0),
            "rise of perplexity over the 16-bit variant at which quality counts for nothing",
        ),
        ParameterInfo::share("free_memory_min", 0.1, "share of memory below which a KV cache at 8 bits is proposed"),
    ],
};
