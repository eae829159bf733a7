//! Settings as a command line of `llama-server`.

use std::ffi::OsString;
use std::path::PathBuf;

use perfhost_strategy::settings::EngineSettings;

use super::config::EngineConfig;
use super::program::{EngineProgram, physical_cores};

/// Threads that answer HTTP, beside one a slot. Every connection, idle ones in a pool too, holds one of them, and with
/// none left the next request waits for seconds; so there are as many as connections that the gateway may keep.
const HTTP_THREADS: u32 = 512;
/// Memory for prompts that were in a slot before, in MiB. llama.cpp's own default of 8 GiB is no bound on a small
/// machine, and the estimate of an engine's memory knows nothing of it.
const PROMPT_CACHE_MIB: u32 = 256;

/// A program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CommandLine {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<OsString>,
}

/// The command line for one process of an engine.
pub(super) fn command_line(config: &EngineConfig, settings: &EngineSettings, port: u16) -> CommandLine {
    let mut line = Builder::default();
    let program = match &config.program {
        EngineProgram::LlamaServer { path, .. } => path.clone(),
        EngineProgram::Python { python, launcher } => {
            // Isolated: neither the caller's variables nor packages of the user's own get in.
            line.push("-I");
            line.push(launcher);
            python.clone()
        }
    };
    line.option("--model", &config.model_path);
    line.option("--alias", &config.model_name);
    line.option("--host", "127.0.0.1");
    line.option("--port", port.to_string());
    line.option("--parallel", settings.slots.to_string());
    let context = u64::from(settings.context_tokens) * u64::from(settings.slots);
    line.option("--ctx-size", context.to_string());
    line.option("--batch-size", settings.batch.to_string());
    line.option("--ubatch-size", settings.micro_batch.min(settings.batch).to_string());
    line.option("--threads", settings.threads.unwrap_or_else(physical_cores).to_string());
    line.option("--threads-http", (HTTP_THREADS + settings.slots).to_string());
    let (flash_attention, kv_type_of_values) = flash_attention(settings);
    line.option("--flash-attn", flash_attention);
    line.option("--cache-type-k", &settings.kv_type);
    line.option("--cache-type-v", kv_type_of_values);
    line.option("--cache-reuse", settings.cache_reuse_tokens.to_string());
    if matches!(config.program, EngineProgram::Python { .. }) {
        // Older builds of llama-server do not know this one.
        line.option("--cache-ram", PROMPT_CACHE_MIB.to_string());
    }
    if config.is_embedding {
        line.push("--embeddings");
        line.option("--pooling", "mean");
    }
    line.push("--metrics");
    line.push("--slots");
    line.push("--no-webui");
    for argument in &config.extra_arguments {
        line.push(argument);
    }
    CommandLine { program, arguments: line.0 }
}

/// llama.cpp keeps values of the KV cache in a small type only with flash attention. A small type therefore switches
/// `auto` to `on`; where it is `off`, only the keys are kept small.
fn flash_attention(settings: &EngineSettings) -> (&str, &str) {
    match (settings.kv_type.as_str(), settings.flash_attention.as_str()) {
        ("f16", asked) => (asked, "f16"),
        (_, "off") => ("off", "f16"),
        (small, _) => ("on", small),
    }
}

#[derive(Default)]
struct Builder(Vec<OsString>);

impl Builder {
    fn push(&mut self, argument: impl Into<OsString>) {
        self.0.push(argument.into());
    }

    fn option(&mut self, name: &str, value: impl Into<OsString>) {
        self.push(name);
        self.push(value);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use perfhost_strategy::Settings;

    use super::*;

    fn config(program: EngineProgram) -> EngineConfig {
        EngineConfig::new("local", program, Path::new("/m/x.gguf"), "x", Path::new("/d"))
    }

    fn native() -> EngineConfig {
        config(EngineProgram::LlamaServer { path: "/bin/llama-server".into(), version: None })
    }

    fn text(line: &CommandLine) -> String {
        line.arguments.iter().map(|argument| argument.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_setting_reaches_the_command_line() {
        let settings = EngineSettings {
            slots: 4,
            context_tokens: 1_024,
            batch: 256,
            micro_batch: 512,
            threads: Some(3),
            flash_attention: "auto".to_owned(),
            kv_type: "f16".to_owned(),
            cache_reuse_tokens: 64,
        };
        let line = command_line(&native(), &settings, 9_000);
        assert_eq!(line.program, Path::new("/bin/llama-server"));
        assert_eq!(
            text(&line),
            "--model /m/x.gguf --alias x --host 127.0.0.1 --port 9000 --parallel 4 --ctx-size 4096 --batch-size 256 \
             --ubatch-size 256 --threads 3 --threads-http 516 --flash-attn auto --cache-type-k f16 --cache-type-v f16 \
             --cache-reuse 64 --metrics --slots --no-webui"
        );
    }

    #[test]
    fn the_installed_engine_is_run_through_its_launcher() {
        let program = EngineProgram::Python { python: "/e/bin/python".into(), launcher: "/e/llama_server.py".into() };
        let mut config = config(program);
        config.is_embedding = true;
        config.extra_arguments = vec!["--no-warmup".to_owned()];
        let line = command_line(&config, &Settings::default().engine("local"), 1);
        assert_eq!(line.program, Path::new("/e/bin/python"));
        let text = text(&line);
        assert!(text.starts_with("-I /e/llama_server.py --model /m/x.gguf"), "{text}");
        assert!(text.contains("--cache-ram 256 --embeddings --pooling mean"), "{text}");
        assert!(text.ends_with("--no-warmup"), "{text}");
        assert!(text.contains(&format!("--threads {} ", physical_cores())), "{text}");
    }

    #[test]
    fn a_small_kv_type_needs_flash_attention_for_values() {
        let of = |kv_type: &str, asked: &str| {
            let settings = EngineSettings {
                kv_type: kv_type.to_owned(),
                flash_attention: asked.to_owned(),
                ..Settings::default().engine("x")
            };
            let (flash_attention, values) = flash_attention(&settings);
            (flash_attention.to_owned(), values.to_owned())
        };
        let pair = |one: &str, other: &str| (one.to_owned(), other.to_owned());
        assert_eq!(of("f16", "auto"), pair("auto", "f16"));
        assert_eq!(of("q8_0", "auto"), pair("on", "q8_0"));
        assert_eq!(of("q4_0", "on"), pair("on", "q4_0"));
        assert_eq!(of("q8_0", "off"), pair("off", "f16"));
    }
}
