//! `perfhost shell`: questions to a running host, one a line, as commands (`/performance status`) or plain sentences ("why is
//! llama slow?"). Owns the reading of lines; what a line means is [`sentence`]'s business, and [`why`] answers the question
//! after a cause. The shell only looks: nothing that is said to it changes the host.

mod sentence;
mod why;

use std::io::{BufRead, IsTerminal, Write};

use anyhow::{Result, bail};

use super::client::Client;
use super::{decisions, metrics, print, resources, status};
use crate::cli::{ClientFlags, PluginCommand};
use sentence::Request;

const PROMPT: &str = "perfhost> ";

/// Longest line that is read, in characters; of a longer one the rest is left out.
const MOST_CHARACTERS: usize = 1_000;

/// Answers lines from the standard input until it ends or says `quit`.
///
/// # Errors
/// When the standard input is no terminal and a line could not be answered: a script should notice. At a terminal the next
/// line is read.
pub fn run(flags: &ClientFlags) -> Result<()> {
    let is_terminal = std::io::stdin().is_terminal();
    if is_terminal {
        print::line("Ask about the host, for example: why is it slow?  help lists what is understood, quit leaves.");
    }
    let mut failed = 0;
    let mut lines = std::io::stdin().lock().lines();
    loop {
        if is_terminal {
            let _gone = write!(std::io::stdout(), "{PROMPT}");
            std::io::stdout().flush()?;
        }
        let Some(line) = lines.next() else { break };
        let line: String = line?.chars().take(MOST_CHARACTERS).collect();
        if line.trim().is_empty() {
            continue;
        }
        let request = sentence::understand(&line, &names(flags));
        if request == Some(Request::Quit) {
            break;
        }
        if let Err(error) = answer(request, &line, flags) {
            failed += 1;
            eprintln!("error: {}", print::plain(&format!("{error:#}")));
        }
    }
    if failed > 0 && !is_terminal {
        bail!("{failed} of the lines could not be answered");
    }
    Ok(())
}

fn answer(request: Option<Request>, line: &str, flags: &ClientFlags) -> Result<()> {
    match request {
        Some(Request::Status) => status::run(flags),
        Some(Request::Metrics(provider)) => metrics::run(provider.as_deref(), None, flags),
        Some(Request::Resources) => resources::run(flags),
        Some(Request::Decisions(limit)) => decisions::run(limit, flags),
        Some(Request::Strategies) => super::plugin::run(&PluginCommand::List(flags.clone())),
        Some(Request::Why(scope)) => why::run(scope.as_deref(), flags),
        Some(Request::Help) => {
            print::line(sentence::HELP.trim_end());
            Ok(())
        }
        Some(Request::Quit) => Ok(()),
        None => bail!("{:?} is not understood; help lists what is", line.trim()),
    }
}

/// Names of providers and models, so that a sentence can speak of them; none while the host does not answer.
fn names(flags: &ClientFlags) -> Vec<String> {
    let status = Client::new(flags).get("/api/system/status").unwrap_or_default();
    let providers = status["providers"].as_array().into_iter().flatten();
    let named = providers.flat_map(|provider| {
        let name = provider["name"].as_str().unwrap_or_default().to_owned();
        let models = provider["models"].as_array().into_iter().flatten().filter_map(|model| model.as_str());
        let models: Vec<String> = models.map(|model| format!("{name}/{model}")).collect();
        std::iter::once(name).chain(models)
    });
    named.collect()
}
