//! Wire protocols: what a request asks, what an answer holds, and how the host's own errors look in each.

pub mod openai;
