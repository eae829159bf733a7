//! The OpenAI protocol: chat completions, completions, embeddings.
//!
//! - [`identify`]: what a request asks and which requests are equal
//! - [`scan`]: first token, usage and wholeness of an answer, seen as its bytes pass
//! - [`replay`]: a kept answer, sent again in the form that the client asks for
//! - [`error`]: how the host's own errors look

pub mod error;
pub mod identify;
pub mod replay;
pub mod scan;

mod events;

pub use error::{error_event, error_response, error_response_about};
pub use identify::{Asked, ProtocolError, identify};
pub use replay::{ReplayError, content_type, replay};
pub use scan::{Answer, AnswerScanner, EngineTimings};
