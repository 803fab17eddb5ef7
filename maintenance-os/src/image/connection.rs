// SPDX-License-Identifier: Apache-2.0
//! One HTTP/1.1 connection that is kept open, so that many questions can be under way on it. It knows heads and lengths
//! and nothing of what is asked.
//!
//! It refuses answers without a length, and heads longer than [`HEAD_MAX`].

use super::source::Source;
use rustls::pki_types::ServerName;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// To connect: a lost packet or two cost three seconds each.
const CONNECT_MAX: Duration = Duration::from_secs(20);
/// Without a byte, or without room for one: after this long the server is as good as away.
const STALL_MAX: Duration = Duration::from_secs(15);
/// The longest head of an answer.
const HEAD_MAX: usize = 16 * 1024;
/// The most header lines of an answer.
const LINES_MAX: usize = 64;
/// What is read at once, where it is not read into its place: a head and what is right behind it.
const BUFFER: usize = 32 * 1024;

/// An answer's head, as far as it matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: u16,
    /// How many bytes follow.
    pub(super) length: u64,
    /// `Content-Range`, where there is one.
    pub(super) range: Option<String>,
    /// Whether another answer may follow on this connection.
    pub(super) keeps: bool,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<rustls::StreamOwned<rustls::ClientConnection, TcpStream>>),
}

/// A connection.
pub(super) struct Connection {
    stream: Stream,
    host: String,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    received: Arc<AtomicU64>,
}

impl Connection {
    /// Connects; the first question shakes hands. `received` counts the bytes of bodies.
    pub(super) fn open(source: &Source, received: Arc<AtomicU64>) -> io::Result<Self> {
        let (host, port, is_tls) = address(&source.now())?;
        let stream = connect(&host, port)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(STALL_MAX))?;
        stream.set_write_timeout(Some(STALL_MAX))?;
        let stream = match (is_tls, source.tls()) {
            (false, _) => Stream::Plain(stream),
            (true, Some(tls)) => {
                let name = ServerName::try_from(host.clone()).map_err(no_sense)?;
                let session = rustls::ClientConnection::new(Arc::clone(tls), name);
                let session = session.map_err(io::Error::other)?;
                Stream::Tls(Box::new(rustls::StreamOwned::new(session, stream)))
            }
            (true, None) => return Err(no_sense("no authority to trust is given")),
        };
        let host = if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        };
        Ok(Self {
            stream,
            host,
            buffer: vec![0; BUFFER],
            start: 0,
            end: 0,
            received,
        })
    }

    /// What breaks the connection off, from another thread.
    pub(super) fn breaker(&self) -> io::Result<TcpStream> {
        self.tcp().try_clone()
    }

    fn tcp(&self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => &stream.sock,
        }
    }

    /// A question's text, for [`Connection::send`].
    pub(super) fn question(&self, path: &str, rest: Option<(u64, &str)>, out: &mut String) {
        out.push_str("GET ");
        out.push_str(path);
        out.push_str(" HTTP/1.1\r\nHost: ");
        out.push_str(&self.host);
        out.push_str("\r\nAccept: */*\r\n");
        if let Some((from, tag)) = rest {
            out.push_str(&format!("Range: bytes={from}-\r\nIf-Range: \"{tag}\"\r\n"));
        }
        out.push_str("\r\n");
    }

    /// Sends questions.
    pub(super) fn send(&mut self, text: &str) -> io::Result<()> {
        let sent = match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(text.as_bytes()),
            Stream::Tls(stream) => stream
                .write_all(text.as_bytes())
                .and_then(|()| stream.flush()),
        };
        sent.map_err(silence)
    }

    /// The next answer's head.
    pub(super) fn head(&mut self) -> io::Result<Head> {
        loop {
            if let Some((head, length)) = parse(&self.buffer[self.start..self.end])? {
                self.start += length;
                // Whatever the server says before the answer.
                if (100..200).contains(&head.status) {
                    continue;
                }
                return Ok(head);
            }
            if self.end - self.start >= HEAD_MAX {
                return Err(io::Error::other("the answer's head is too long"));
            }
            if self.start > 0 {
                self.buffer.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            let count = read(&mut self.stream, &mut self.buffer[self.end..])?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.end += count;
        }
    }

    /// The next bytes of a body, of which so many at least are still to come.
    pub(super) fn body(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let here = (self.end - self.start).min(into.len());
        let count = if here > 0 {
            into[..here].copy_from_slice(&self.buffer[self.start..self.start + here]);
            self.start += here;
            here
        } else {
            read(&mut self.stream, into)?
        };
        if count == 0 && !into.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.received.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }

    /// Ends it for the other side as well.
    pub(super) fn close(&self) {
        // One that is closed already is closed.
        let _ = self.tcp().shutdown(Shutdown::Both);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.close();
    }
}

fn read(stream: &mut Stream, into: &mut [u8]) -> io::Result<usize> {
    loop {
        let read = match stream {
            Stream::Plain(stream) => stream.read(into),
            Stream::Tls(stream) => stream.read(into),
        };
        match read {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other.map_err(silence),
        }
    }
}

/// A time limit of a socket shows as "would block".
fn silence(error: io::Error) -> io::Error {
    if matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    ) {
        let said = format!("no byte came for {} s", STALL_MAX.as_secs());
        return io::Error::new(io::ErrorKind::TimedOut, said);
    }
    error
}

/// An address that makes no sense is told from a network that fails by its kind.
fn no_sense(why: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why.to_string())
}

fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut failed = None;
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_MAX) {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = Some(error),
        }
    }
    Err(failed.unwrap_or_else(|| io::Error::other(format!("{host} has no address"))))
}

/// Host, port, and whether it is TLS.
fn address(base: &str) -> io::Result<(String, u16, bool)> {
    let (rest, is_tls) = if let Some(rest) = base.strip_prefix("https://") {
        (rest, true)
    } else if let Some(rest) = base.strip_prefix("http://") {
        (rest, false)
    } else {
        return Err(no_sense(format!(
            "`{base}` begins with neither http:// nor https://"
        )));
    };
    let rest = rest.trim_end_matches('/');
    if rest.contains(['/', '@', '?', '#', ' ', '\r', '\n']) {
        return Err(no_sense(format!(
            "`{base}` is more than an address and a port"
        )));
    }
    let (host, port) = if let Some(rest) = rest.strip_prefix('[') {
        let (host, port) = rest
            .split_once(']')
            .ok_or_else(|| no_sense(format!("`{base}` lacks a bracket")))?;
        (host, port.strip_prefix(':'))
    } else {
        match rest.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        }
    };
    let port = match port {
        Some(port) => port
            .parse()
            .map_err(|_| no_sense(format!("`{base}` has no port that is a number")))?,
        None if is_tls => 443,
        None => 80,
    };
    if host.is_empty() {
        return Err(no_sense(format!("`{base}` names no host")));
    }
    Ok((host.to_owned(), port, is_tls))
}

/// A head and its length, where it is whole.
fn parse(bytes: &[u8]) -> io::Result<Option<(Head, usize)>> {
    let mut lines = [httparse::EMPTY_HEADER; LINES_MAX];
    let mut response = httparse::Response::new(&mut lines);
    let length = match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(io::Error::other(format!("this is no HTTP answer: {error}"))),
    };
    let status = response.code.unwrap_or(0);
    let text = |name: &str| {
        let mut lines = response.headers.iter();
        let line = lines.find(|line| line.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(line.value).ok().map(str::trim)
    };
    let coded =
        text("transfer-encoding").is_some_and(|coding| !coding.eq_ignore_ascii_case("identity"));
    let body = match text("content-length").map(str::parse::<u64>) {
        Some(Ok(body)) if !coded => body,
        None if (100..200).contains(&status) || matches!(status, 204 | 304) => 0,
        Some(Ok(_) | Err(_)) | None => {
            return Err(io::Error::other("the answer does not tell its length"));
        }
    };
    let says = text("connection").unwrap_or_default().to_ascii_lowercase();
    let keeps = match response.version {
        Some(1) => !says.contains("close"),
        Some(_) | None => says.contains("keep-alive"),
    };
    let head = Head {
        status,
        length: body,
        range: text("content-range").map(str::to_owned),
        keeps,
    };
    Ok(Some((head, length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let ok = |base, host: &str, port, tls| {
            assert_eq!(address(base).unwrap(), (host.to_owned(), port, tls));
        };
        ok("http://127.0.0.1:80", "127.0.0.1", 80, false);
        ok("https://[fe80::1]:8443/", "fe80::1", 8443, true);
        ok("https://repository", "repository", 443, true);
        ok("http://[::1]", "::1", 80, false);
        for base in [
            "ftp://x",
            "http://",
            "http://a:b",
            "http://a/b",
            "http://u@h",
            "http://[::1",
            "http://a b",
        ] {
            assert_eq!(
                address(base).unwrap_err().kind(),
                io::ErrorKind::InvalidInput,
                "{base}"
            );
        }
    }

    #[test]
    fn heads() {
        let text = b"HTTP/1.1 206 Partial Content\r\ncontent-LENGTH: 7\r\nContent-Range: bytes 3-9/10\r\n\r\nabc";
        let (head, length) = parse(text).unwrap().unwrap();
        assert_eq!((head.status, head.length, head.keeps), (206, 7, true));
        assert_eq!(head.range.as_deref(), Some("bytes 3-9/10"));
        assert_eq!(&text[length..], b"abc");
        assert_eq!(parse(&text[..40]).unwrap(), None);
        let (head, _) = parse(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .unwrap()
            .unwrap();
        assert!(!head.keeps);
        assert!(parse(b"HTTP/1.1 200 OK\r\n\r\n").is_err(), "endless");
        assert!(parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
        assert!(parse(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n").is_err());
        assert!(parse(b"SSH-2.0-OpenSSH\r\n").is_err());
    }
}
