//! `wasi:io/streams`, standard input (always at its end), standard output and error (lines for the strategy's log).

use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, LinkerInstance, Lower, Resource};

use crate::guest::Guest;
use crate::host::log::{Log, LogLevel};
use crate::wasi::clocks;

/// Level of lines on standard output.
pub(super) const OUTPUT_LEVEL: LogLevel = LogLevel::Info;
/// Level of lines on standard error.
pub(super) const ERROR_LEVEL: LogLevel = LogLevel::Warn;

/// Bytes that a stream says it takes at once, as WASI's own hosts do.
const PERMIT: u64 = 64 << 10;
/// Representation of the standard output stream; everything else is standard error.
const OUTPUT: u32 = 1;
const ERROR: u32 = 2;

pub(super) struct InputStream;
pub(super) struct OutputStream;
/// No stream ever fails, so none of these is ever made.
pub(super) struct IoError;

#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    #[allow(dead_code, reason = "part of the type; output never fails")]
    LastOperationFailed(Resource<IoError>),
    #[component(name = "closed")]
    Closed,
}

/// One output stream's unfinished line.
#[derive(Default)]
pub(super) struct Output {
    line: Vec<u8>,
}

impl Output {
    /// Takes bytes; whole lines go to the log, an overlong one in pieces.
    fn write(&mut self, log: &Log, level: LogLevel, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = log.line_bytes().saturating_sub(self.line.len());
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                self.flush(log, level);
            }
        }
    }

    pub(super) fn flush(&mut self, log: &Log, level: LogLevel) {
        if self.line.is_empty() {
            return;
        }
        let text = String::from_utf8_lossy(&self.line);
        let text = text.trim_end();
        if !text.is_empty() {
            log.write(level, text);
        }
        self.line.clear();
    }
}

fn write(guest: &mut Guest, stream: &Resource<OutputStream>, bytes: &[u8]) {
    let Guest { wasi, log, .. } = guest;
    match stream.rep() {
        OUTPUT => wasi.output.write(log, OUTPUT_LEVEL, bytes),
        _ => wasi.error.write(log, ERROR_LEVEL, bytes),
    }
}

pub(super) fn is_answered(into: &mut LinkerInstance<'_, Guest>, interface: &str, name: &str) -> wasmtime::Result<bool> {
    type Store<'a> = StoreContextMut<'a, Guest>;
    type Written = Result<(), StreamError>;
    type Read = Result<Vec<u8>, StreamError>;
    match (interface, name) {
        ("wasi:cli/stdin", "get-stdin") => {
            into.func_wrap(name, |_, (): ()| Ok((Resource::<InputStream>::new_own(0),)))?;
        }
        ("wasi:cli/stdout", "get-stdout") => {
            into.func_wrap(name, |_, (): ()| Ok((Resource::<OutputStream>::new_own(OUTPUT),)))?;
        }
        ("wasi:cli/stderr", "get-stderr") => {
            into.func_wrap(name, |_, (): ()| Ok((Resource::<OutputStream>::new_own(ERROR),)))?;
        }
        ("wasi:io/error", "[method]error.to-debug-string") => {
            into.func_wrap(name, |_, (_,): (Resource<IoError>,)| Ok((String::new(),)))?;
        }
        ("wasi:io/streams", "[method]input-stream.read" | "[method]input-stream.blocking-read") => {
            into.func_wrap(name, |_, (_, _): (Resource<InputStream>, u64)| Ok((Read::Err(StreamError::Closed),)))?;
        }
        ("wasi:io/streams", "[method]input-stream.skip" | "[method]input-stream.blocking-skip") => {
            into.func_wrap(name, |_, (_, _): (Resource<InputStream>, u64)| {
                Ok((Result::<u64, StreamError>::Err(StreamError::Closed),))
            })?;
        }
        ("wasi:io/streams", "[method]input-stream.subscribe") => {
            into.func_wrap(name, |_, (_,): (Resource<InputStream>,)| Ok((clocks::ready(),)))?;
        }
        ("wasi:io/streams", "[method]output-stream.subscribe") => {
            into.func_wrap(name, |_, (_,): (Resource<OutputStream>,)| Ok((clocks::ready(),)))?;
        }
        ("wasi:io/streams", "[method]output-stream.check-write") => {
            into.func_wrap(name, |_, (_,): (Resource<OutputStream>,)| Ok((Result::<u64, StreamError>::Ok(PERMIT),)))?;
        }
        ("wasi:io/streams", "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush") => {
            into.func_wrap(name, |mut store: Store<'_>, (stream, bytes): (Resource<OutputStream>, Vec<u8>)| {
                write(store.data_mut(), &stream, &bytes);
                Ok((Written::Ok(()),))
            })?;
        }
        ("wasi:io/streams", "[method]output-stream.flush" | "[method]output-stream.blocking-flush") => {
            into.func_wrap(name, |_, (_,): (Resource<OutputStream>,)| Ok((Written::Ok(()),)))?;
        }
        (
            "wasi:io/streams",
            "[method]output-stream.write-zeroes" | "[method]output-stream.blocking-write-zeroes-and-flush",
        ) => into.func_wrap(name, |_, (_, _): (Resource<OutputStream>, u64)| Ok((Written::Ok(()),)))?,
        _ => return Ok(false),
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;

    #[test]
    fn lines_are_put_together_from_pieces_and_cut_at_the_limit() {
        let log = Log::new("printer.wasm", &Limits { max_log_line_bytes: 8, ..Limits::default() });
        let mut output = Output::default();
        for piece in ["ab", "c\nde", "\n\n0123456789\n", "rest"] {
            output.write(&log, OUTPUT_LEVEL, piece.as_bytes());
        }
        output.flush(&log, OUTPUT_LEVEL);
        let texts: Vec<String> = log.lines().into_iter().map(|line| line.text).collect();
        assert_eq!(texts, ["abc", "de", "01234567", "rest"]);
    }
}
