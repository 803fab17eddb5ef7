// SPDX-License-Identifier: Apache-2.0
//! A small HTTPS server: GET of chunks by their digest, for nodes of this site, and nothing else.
//!
//! Every frame that goes out is what the manifest names. A question for a range is answered with the whole, as RFC 9110
//! section 14.2 allows.

use super::CALLERS_MAX;
use super::book::Room;
use super::tls::is_node;
use groundstate_api::{Digest, paths};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{self, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// How long a caller may take for its handshake, a question or a piece of an answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest head of a question.
const HEAD_MAX: usize = 4 * 1024;
/// Bytes of a caller's thread's stack: TLS and a few buffers.
const STACK: usize = 256 * 1024;
/// How long to wait after the kernel refused a connection.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Serves until the room is gone.
pub(super) fn listen(listener: &TcpListener, room: &Weak<Room>, tls: &Arc<ServerConfig>) {
    loop {
        let accepted = listener.accept();
        let Some(open) = room.upgrade().filter(|room| !room.is_over()) else {
            return;
        };
        let Ok((stream, _)) = accepted else {
            drop(open);
            thread::sleep(ACCEPT_RETRY);
            continue;
        };
        // One too many is told to ask elsewhere by the connection's end.
        if open.callers.fetch_add(1, Ordering::Relaxed) >= CALLERS_MAX {
            open.callers.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        let (place, tls) = (Place(Arc::downgrade(&open)), Arc::clone(tls));
        let serve = move || {
            // How a connection ends is the caller's to notice.
            let _ended = serve(stream, &place.0, tls);
        };
        if thread::Builder::new()
            .stack_size(STACK)
            .spawn(serve)
            .is_err()
        {
            thread::sleep(ACCEPT_RETRY);
        }
    }
}

/// A caller's place, given back when dropped.
struct Place(Weak<Room>);

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(room) = self.0.upgrade() {
            room.callers.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn serve(stream: TcpStream, room: &Weak<Room>, tls: Arc<ServerConfig>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let session = ServerConnection::new(tls).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(session, stream);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    let callers = stream.conn.peer_certificates().unwrap_or_default();
    let is_ours = callers.first().is_some_and(is_node);
    let mut heads = Heads::default();
    while let Some(head) = heads.next(&mut stream)? {
        let Some(room) = room.upgrade().filter(|room| !room.is_over()) else {
            return Ok(());
        };
        if !is_ours {
            return answer(&mut stream, "403 Forbidden", None, true);
        }
        match asked(&head) {
            Asked::Chunk { digest, is_get } => match room.frame(&digest) {
                Some(frame) => {
                    thread::sleep(room.pace.wait(frame.len(), Instant::now()));
                    let tag = digest.to_string();
                    answer(&mut stream, "200 OK", Some((&frame, &tag)), is_get)?;
                    room.sent.fetch_add(frame.len() as u64, Ordering::Relaxed);
                }
                None => answer(&mut stream, "404 Not Found", None, true)?,
            },
            Asked::Other => answer(&mut stream, "404 Not Found", None, true)?,
            Asked::Nonsense => return answer(&mut stream, "400 Bad Request", None, true),
        }
    }
    Ok(())
}

fn answer(
    stream: &mut StreamOwned<ServerConnection, TcpStream>,
    status: &str,
    frame: Option<(&[u8], &str)>,
    with_body: bool,
) -> io::Result<()> {
    let (bytes, tag) = frame.unwrap_or_default();
    let mut head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", bytes.len());
    if frame.is_some() {
        head.push_str(&format!(
            "Content-Type: application/zstd\r\nETag: \"{tag}\"\r\n"
        ));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    if with_body {
        stream.write_all(bytes)?;
    }
    stream.flush()
}

/// What a head asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Chunk { digest: Digest, is_get: bool },
    Other,
    Nonsense,
}

fn asked(head: &str) -> Asked {
    let line = head.lines().next().unwrap_or_default();
    let mut words = line.split(' ');
    let (Some(method), Some(path), Some("HTTP/1.1"), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Asked::Nonsense;
    };
    // A body would be taken for the next question.
    let has_body = head.lines().skip(1).any(|line| {
        let name = line.split(':').next().unwrap_or_default();
        name.eq_ignore_ascii_case("content-length")
            || name.eq_ignore_ascii_case("transfer-encoding")
    });
    if has_body {
        return Asked::Nonsense;
    }
    let prefix = paths::CHUNK.trim_end_matches("{digest}");
    let digest = path.strip_prefix(prefix).and_then(|text| text.parse().ok());
    match (method, digest) {
        ("GET" | "HEAD", Some(digest)) => Asked::Chunk {
            digest,
            is_get: method == "GET",
        },
        _ => Asked::Other,
    }
}

/// Heads of questions, one after the other; more than one may have come at once.
#[derive(Default)]
struct Heads(Vec<u8>);

impl Heads {
    /// The next one; `None` where the caller has gone.
    fn next(&mut self, from: &mut impl io::Read) -> io::Result<Option<String>> {
        let mut piece = [0; HEAD_MAX];
        loop {
            if let Some(end) = self.0.windows(4).position(|four| four == b"\r\n\r\n") {
                let rest = self.0.split_off(end + 4);
                let head = std::mem::replace(&mut self.0, rest);
                return String::from_utf8(head).map(Some).map_err(io::Error::other);
            }
            // Whoever asks for many at once is read on when it has its answers.
            if self.0.len() >= HEAD_MAX {
                return Err(io::Error::other("a question's head is too long"));
            }
            let room = HEAD_MAX.min(piece.len());
            let count = from.read(piece.get_mut(..room).unwrap_or_default())?;
            if count == 0 {
                return Ok(None);
            }
            self.0
                .extend_from_slice(piece.get(..count).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_chunks_by_their_digests_are_given() {
        let digest = Digest::of(b"x");
        let path = paths::CHUNK.replace("{digest}", &digest.hex());
        let chunk = |is_get| Asked::Chunk { digest, is_get };
        for (head, expected) in [
            (
                format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"),
                chunk(true),
            ),
            (format!("HEAD {path} HTTP/1.1\r\n\r\n"), chunk(false)),
            (
                format!("GET {path} HTTP/1.1\r\nRange: bytes=1-\r\n\r\n"),
                chunk(true),
            ),
            (format!("POST {path} HTTP/1.1\r\n\r\n"), Asked::Other),
            (format!("GET {path}/.. HTTP/1.1\r\n\r\n"), Asked::Other),
            ("GET / HTTP/1.1\r\n\r\n".to_owned(), Asked::Other),
            (format!("GET {path} HTTP/1.0\r\n\r\n"), Asked::Nonsense),
            (
                format!("GET {path} HTTP/1.1\r\nContent-Length: 4\r\n\r\n"),
                Asked::Nonsense,
            ),
            ("\r\n\r\n".to_owned(), Asked::Nonsense),
        ] {
            assert_eq!(asked(&head), expected, "{head}");
        }
    }

    #[test]
    fn questions_that_come_together_are_taken_one_by_one() {
        let text = b"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3";
        let (mut heads, mut from) = (Heads::default(), &text[..]);
        for line in ["GET /1", "GET /2"] {
            let head = heads.next(&mut from).unwrap().unwrap();
            assert!(head.starts_with(line), "{head}");
        }
        assert_eq!(heads.next(&mut from).unwrap(), None);
        let long = vec![b'a'; 3 * HEAD_MAX];
        assert!(Heads::default().next(&mut &long[..]).is_err());
    }
}
