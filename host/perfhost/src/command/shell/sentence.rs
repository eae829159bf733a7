//! What a line means: a small grammar of words, without guessing. Pure.
//!
//! A command is a word, with `/performance` or `/` before it or not. Any other line is a sentence: the first row of
//! [`WORDS`] that has one of its words in it says what is asked, and the first name of a provider or model in it, or of
//! a part of one, says of what.

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    Status,
    /// Of a provider, or of all.
    Metrics(Option<String>),
    Resources,
    /// So many.
    Decisions(u32),
    Strategies,
    /// Why a provider, a model or the whole host is slow.
    Why(Option<String>),
    Help,
    Quit,
}

/// What people are told.
pub(super) const HELP: &str = "\
Commands, with or without /performance before them:
  status                 how the host stands
  metrics [PROVIDER]     measurements of the last minute
  resources              processor, memory, disk and network
  decisions [COUNT]      what strategies asked for, and what came of it
  strategies             what is in service and at hand
  why [NAME]             where the time of requests goes, of a provider, a model, or all
  help, quit
Or a sentence that holds one of these words and, if you like, the name of a provider or a model, or a part of it:
  why, slow, bottleneck                                 why
  decide, decided, decision, decisions, changed, knob   decisions
  strategy, strategies, plugin, plugins                 strategies
  memory, cpu, processor, disk, network, resources      resources
  latency, fast, tokens, errors, requests, metrics      metrics
  status, health, up, running, provider, providers      status
";

/// Asked for when no count is given.
const USUAL_DECISIONS: u32 = 10;

/// As many as the API gives.
const MOST_DECISIONS: u32 = 1_000;

/// Shortest part of a name that is taken for it.
const SHORTEST_PART: usize = 3;

/// Words of a sentence and what they ask, those with the most specific meaning first.
const WORDS: &[(&[&str], Request)] = &[
    (&["why", "slow", "bottleneck"], Request::Why(None)),
    (&["decide", "decided", "decision", "decisions", "changed", "knob"], Request::Decisions(USUAL_DECISIONS)),
    (&["strategy", "strategies", "plugin", "plugins"], Request::Strategies),
    (&["memory", "cpu", "processor", "disk", "network", "resources"], Request::Resources),
    (&["latency", "fast", "tokens", "errors", "requests", "metrics"], Request::Metrics(None)),
    (&["status", "health", "up", "running", "provider", "providers"], Request::Status),
];

/// The meaning of a line, if it has one. `names` are the providers, and their models as `provider/model`.
pub(super) fn understand(line: &str, names: &[String]) -> Option<Request> {
    let written = line.trim();
    let line = written.to_lowercase();
    let command = line.strip_prefix("/performance").or_else(|| line.strip_prefix('/')).unwrap_or(&line).trim();
    let words: Vec<&str> = command.split_whitespace().collect();
    match words[..] {
        [] | ["help" | "?"] => return Some(Request::Help),
        ["quit" | "exit"] => return Some(Request::Quit),
        ["status"] => return Some(Request::Status),
        ["resources"] => return Some(Request::Resources),
        ["strategies"] => return Some(Request::Strategies),
        ["metrics"] => return Some(Request::Metrics(None)),
        // A name that is not known is asked for as it was written: the host says that there is none.
        ["metrics", word] => {
            let known = named(word, names);
            let written = written.split_whitespace().last().unwrap_or(word);
            return Some(Request::Metrics(Some(known.unwrap_or_else(|| written.to_owned()))));
        }
        ["decisions"] => return Some(Request::Decisions(USUAL_DECISIONS)),
        ["decisions", count] => {
            let count = count.parse().ok().filter(|count| (1..=MOST_DECISIONS).contains(count));
            return count.map(Request::Decisions);
        }
        _ => {}
    }
    let words: Vec<&str> = command.split(|c: char| c.is_whitespace() || "?!,;".contains(c)).collect();
    let (_, request) = WORDS.iter().find(|(asked, _)| asked.iter().any(|word| words.contains(word)))?;
    let name = words.iter().find_map(|word| named(word, names));
    Some(match request {
        Request::Why(_) => Request::Why(name),
        Request::Metrics(_) => Request::Metrics(name),
        other => other.clone(),
    })
}

/// The name that a word means: the whole of one, a model's own part, or else the beginning of either.
fn named(word: &str, names: &[String]) -> Option<String> {
    let own = |name: &str| name.split_once('/').map_or(name, |(_, model)| model).to_lowercase();
    let is_whole = |name: &&String| name.to_lowercase() == word || own(name) == word;
    let begins = |name: &&String| word.len() >= SHORTEST_PART && own(name).starts_with(word);
    names.iter().find(is_whole).or_else(|| names.iter().find(begins)).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(line: &str) -> Option<Request> {
        let names = ["local", "local/gemma-3-270m", "gpu", "gpu/Llama-3:8b", "GPU-Box"].map(str::to_owned);
        understand(line, &names)
    }

    #[test]
    fn commands_mean_the_same_with_and_without_their_prefix() {
        for line in ["status", "/status", "/performance status", "  /PERFORMANCE  status "] {
            assert_eq!(meant(line), Some(Request::Status), "{line}");
        }
        assert_eq!(meant("/performance"), Some(Request::Help));
        assert_eq!(meant("/performance decisions 5"), Some(Request::Decisions(5)));
        assert_eq!(meant("metrics gpu"), Some(Request::Metrics(Some("gpu".to_owned()))));
        for (line, name) in
            [("metrics gpu-box", "GPU-Box"), ("/Metrics GPU-Box", "GPU-Box"), ("metrics Nobody", "Nobody")]
        {
            assert_eq!(meant(line), Some(Request::Metrics(Some(name.to_owned()))), "{line}");
        }
        for line in ["decisions 0", "decisions many", "decisions 1001"] {
            assert_eq!(meant(line), None, "{line}");
        }
    }

    #[test]
    fn sentences_are_understood_by_their_words_and_names() {
        let why = |name: &str| Some(Request::Why(Some(name.to_owned())));
        assert_eq!(meant("why is llama slow?"), why("gpu/Llama-3:8b"));
        assert_eq!(meant("Why is gemma-3-270m so slow today"), why("local/gemma-3-270m"));
        assert_eq!(meant("what is the bottleneck of local?"), why("local"));
        assert_eq!(meant("why is it slow?"), Some(Request::Why(None)));
        assert_eq!(meant("how many tokens does gpu make"), Some(Request::Metrics(Some("gpu".to_owned()))));
        assert_eq!(meant("what was decided and why"), Some(Request::Why(None)), "the first row wins");
        assert_eq!(meant("how much memory is used?"), Some(Request::Resources));
        assert_eq!(meant("is everything up?"), Some(Request::Status));
        assert_eq!(meant("sing a song"), None);
    }

    #[test]
    fn every_word_of_the_grammar_is_in_the_help() {
        for word in WORDS.iter().flat_map(|(words, _)| *words) {
            assert!(HELP.contains(word), "{word}");
        }
    }
}
