//! Alerts as JSON to a URL. Also the one place where an HTTP answer becomes a delivery or its failure.

use serde_json::Value;
use ureq::Agent;

use super::channel::{Channel, DeliveryError, TIMEOUT};
use super::wording::Notice;
use crate::config::alerts::Secret;

pub(super) struct Webhook {
    post: Post,
}

impl Webhook {
    pub(super) fn new(url: Secret, headers: Vec<(String, Secret)>) -> Self {
        Self { post: Post::new(url, headers) }
    }
}

impl Channel for Webhook {
    fn send(&mut self, notice: &Notice) -> Result<(), DeliveryError> {
        self.post.json(&notice.json())
    }
}

/// Sends JSON to one secret URL.
pub(super) struct Post {
    agent: Agent,
    url: Secret,
    headers: Vec<(String, Secret)>,
}

impl Post {
    pub(super) fn new(url: Secret, headers: Vec<(String, Secret)>) -> Self {
        let config = Agent::config_builder().timeout_global(Some(TIMEOUT)).http_status_as_error(false).max_redirects(0);
        Self { agent: config.build().into(), url, headers }
    }

    /// Errors: what may pass (no connection, 5xx, 408, 429) is temporary, any other refusal is not.
    pub(super) fn json(&self, body: &Value) -> Result<(), DeliveryError> {
        let mut request = self.agent.post(self.url.reveal()).header("content-type", "application/json");
        for (name, value) in &self.headers {
            request = request.header(name, value.reveal());
        }
        let answer = request
            .send(body.to_string().as_bytes())
            .map_err(|error| DeliveryError::Temporary(self.url.hide_in(&error.to_string())))?;
        match answer.status().as_u16() {
            200..300 => Ok(()),
            status @ (408 | 429 | 500..) => Err(DeliveryError::Temporary(format!("the receiver answered {status}"))),
            status => Err(DeliveryError::Permanent(format!("the receiver answered {status}"))),
        }
    }
}
