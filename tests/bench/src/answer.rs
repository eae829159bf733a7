//! Reads one whole HTTP/1.1 answer from a blocking socket: as much of the protocol as a host under measurement speaks.

use std::io::Read;
use std::net::TcpStream;

use anyhow::{Context, Result, bail};
use memchr::memmem;

/// A whole answer.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    head: &'a str,
    pub(crate) body: &'a [u8],
}

impl Answer<'_> {
    /// A header's value; empty when it is not there.
    pub(crate) fn header(&self, wanted: &str) -> &str {
        header(self.head, wanted).unwrap_or_default()
    }
}

/// The next answer. `buffer` is overwritten; the connection carries one request at a time.
pub(crate) fn read_answer<'a>(stream: &mut TcpStream, buffer: &'a mut Vec<u8>) -> Result<Answer<'a>> {
    buffer.clear();
    let mut chunk = [0; 16 << 10];
    let mut more = |buffer: &mut Vec<u8>| -> Result<()> {
        match stream.read(&mut chunk)? {
            0 => bail!("the connection was closed in the middle of an answer"),
            read => buffer.extend_from_slice(&chunk[..read]),
        }
        Ok(())
    };
    let end = loop {
        if let Some(at) = memmem::find(buffer, b"\r\n\r\n") {
            break at + 4;
        }
        more(buffer)?;
    };
    let length: usize = header(std::str::from_utf8(&buffer[..end])?, "content-length")
        .context("an answer without a length")?
        .parse()
        .context("a length that is no number")?;
    while buffer.len() < end + length {
        more(buffer)?;
    }
    let head = std::str::from_utf8(&buffer[..end])?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("an answer without a status")?;
    Ok(Answer { status, head, body: &buffer[end..end + length] })
}

fn header<'a>(head: &'a str, wanted: &str) -> Option<&'a str> {
    let mut pairs = head.split("\r\n").filter_map(|line| line.split_once(':'));
    pairs.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
}
