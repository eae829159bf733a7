//! `perfhost alerts …` as typed.

use clap::{Args, Subcommand};

use super::ClientFlags;

/// `perfhost alerts`, and what can be done beside listing.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct AlertsFlags {
    /// What to do; without it, list what is pending or fires
    #[command(subcommand)]
    pub command: Option<AlertsCommand>,
    /// Where and how
    #[command(flatten)]
    pub client: ClientFlags,
}

/// Commands about alerts.
#[derive(Debug, Subcommand)]
pub enum AlertsCommand {
    /// What is pending or fires, silences, and how the channels do
    List(ClientFlags),
    /// The alert rules
    Rules(ClientFlags),
    /// What fired, newest first
    History {
        /// How many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Only of this rule
        #[arg(long)]
        rule: Option<String>,
        /// Where and how
        #[command(flatten)]
        client: ClientFlags,
    },
    /// How often and how long what fired, and how soon somebody took it on
    Statistics {
        /// Since when: -7d, or a moment such as 2026-01-31T12:00:00Z
        #[arg(long, default_value = "-30d", allow_hyphen_values = true)]
        since: String,
        /// Where and how
        #[command(flatten)]
        client: ClientFlags,
    },
    /// Take a firing alert on: no reminders and no escalation from now on
    Acknowledge {
        /// Its number
        id: u64,
        /// What to say about it
        #[arg(long, default_value = "")]
        comment: String,
        /// Who says it
        #[arg(long, env = "USER", default_value = "")]
        by: String,
        /// Where and how
        #[command(flatten)]
        client: ClientFlags,
    },
    /// Tell nobody of an alert, or of anything that a rule finds, for a time
    Silence {
        /// Number of a firing alert, or name of a rule
        target: String,
        /// How long: 30m, 2h, 7d
        #[arg(long = "for", value_name = "TIME", default_value = "1h")]
        length: String,
        /// Why
        #[arg(long, default_value = "")]
        comment: String,
        /// Who says it
        #[arg(long, env = "USER", default_value = "")]
        by: String,
        /// Where and how
        #[command(flatten)]
        client: ClientFlags,
    },
    /// End a silence before its time
    Unsilence {
        /// Number of the silence
        id: u64,
        /// Where and how
        #[command(flatten)]
        client: ClientFlags,
    },
    /// Have a channel say something, to see that it arrives
    Test {
        /// Name of the channel
        channel: String,
        /// Where and how
        #[command(flatten)]
        client: ClientFlags,
    },
}
