//! Alerts in the host's own log.

use perfhost_strategy::alert::{Occasion, Severity};
use tracing::{error, info, warn};

use super::channel::{Channel, DeliveryError};
use super::wording::{Notice, in_unit};

pub(super) struct Log;

impl Channel for Log {
    fn send(&mut self, notice: &Notice) -> Result<(), DeliveryError> {
        let (alert, occasion) = (&notice.announcement.alert, notice.announcement.occasion);
        let value = alert.value.map_or("-".to_owned(), |value| in_unit(value, &alert.unit));
        let (id, rule, scope, condition) = (alert.id, &alert.rule, alert.scope.to_string(), &alert.condition);
        match (occasion, alert.severity) {
            (Occasion::Resolved, _) | (_, Severity::Info) => {
                info!(alert = id, rule, scope, condition, value, "alert {}: {}", occasion.name(), alert.summary);
            }
            (_, Severity::Warning) => {
                warn!(alert = id, rule, scope, condition, value, "alert {}: {}", occasion.name(), alert.summary);
            }
            (_, Severity::Critical) => {
                error!(alert = id, rule, scope, condition, value, "alert {}: {}", occasion.name(), alert.summary);
            }
        }
        Ok(())
    }
}
