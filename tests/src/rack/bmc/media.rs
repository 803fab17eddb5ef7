// SPDX-License-Identifier: Apache-2.0
//! Fetches an image for the virtual drive, as a BMC does: one plain HTTP request.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

/// How long the server may be silent.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// The longest head of an answer.
const HEAD_MAX: usize = 16 << 10;

/// Fetches `http://host[:port]/path` into a file.
pub(super) fn fetch(url: &str, into: &Path) -> Result<(), String> {
    let rest = url
        .strip_prefix("http://")
        .ok_or_else(|| format!("{url}: only http:// is supported"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address = if host.contains(':') {
        host.to_owned()
    } else {
        format!("{host}:80")
    };
    let done = || -> io::Result<()> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0u8];
            stream.read_exact(&mut byte)?;
            head.push(byte[0]);
            if head.len() > HEAD_MAX {
                return Err(io::Error::other("the answer's head is too long"));
            }
        }
        let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
        if !head.starts_with("http/1.1 200") {
            return Err(io::Error::other(
                head.lines().next().unwrap_or_default().to_owned(),
            ));
        }
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok())
            .ok_or_else(|| io::Error::other("the answer has no Content-Length"))?;
        let copied = io::copy(&mut stream.take(length), &mut File::create(into)?)?;
        if copied != length {
            return Err(io::Error::other("the image ended early"));
        }
        Ok(())
    };
    done().map_err(|error| format!("{url}: {error}"))
}
