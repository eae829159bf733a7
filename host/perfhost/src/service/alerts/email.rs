//! Alerts as mail, by SMTP.

use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{Message, SmtpTransport, Transport};

use super::channel::{Channel, DeliveryError, TIMEOUT};
use super::wording::Notice;
use crate::config::alerts::{EmailConfig, EmailSecurity};

pub(super) struct Email {
    transport: SmtpTransport,
    from: Mailbox,
    to: Vec<Mailbox>,
}

impl Email {
    pub(super) fn new(config: &EmailConfig) -> Result<Self, DeliveryError> {
        let permanent = |error: String| DeliveryError::Permanent(error);
        let parameters = || TlsParameters::new(config.server.clone()).map_err(|error| permanent(error.to_string()));
        let tls = match config.security {
            EmailSecurity::StartTls => Tls::Required(parameters()?),
            EmailSecurity::Tls => Tls::Wrapper(parameters()?),
            EmailSecurity::None => Tls::None,
        };
        let mut builder =
            SmtpTransport::builder_dangerous(&config.server).port(config.port).tls(tls).timeout(Some(TIMEOUT));
        if let Some((user, password)) = &config.login {
            builder = builder.credentials(Credentials::new(user.clone(), password.reveal().to_owned()));
        }
        let mailbox =
            |address: &String| address.parse::<Mailbox>().map_err(|error| permanent(format!("{address}: {error}")));
        let to = config.to.iter().map(mailbox).collect::<Result<_, _>>()?;
        Ok(Self { transport: builder.build(), from: mailbox(&config.from)?, to })
    }

    fn message(&self, notice: &Notice) -> Result<Message, DeliveryError> {
        let mut builder = Message::builder().from(self.from.clone()).subject(notice.title());
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        let message = builder.header(ContentType::TEXT_PLAIN).body(notice.text() + "\n");
        message.map_err(|error| DeliveryError::Permanent(error.to_string()))
    }
}

impl Channel for Email {
    fn send(&mut self, notice: &Notice) -> Result<(), DeliveryError> {
        let message = self.message(notice)?;
        match self.transport.send(&message) {
            Ok(_) => Ok(()),
            // 5xx: the server will say the same next time.
            Err(error) if error.is_permanent() => Err(DeliveryError::Permanent(error.to_string())),
            Err(error) => Err(DeliveryError::Temporary(error.to_string())),
        }
    }
}
