// SPDX-License-Identifier: Apache-2.0
//! One question to the image server and its whole answer, within a bounded time. It never asks twice: who asks again,
//! and when, is decided by those who call.

use super::connection::{Connection, Head};
use super::source::Source;
use super::trouble::lasting;
use groundstate_api::view::Problem;
use groundstate_api::{Bytes, Digest, Reason};
use image_core::answer::{Answer, judge};
use image_core::proof::Corrupt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// For the whole body. What came so far is kept and the next question asks for the rest.
const BODY_MAX: Duration = Duration::from_secs(300);
/// The longest problem document that is read.
pub(super) const PROBLEM_MAX: u64 = 64 * 1024;
/// What is read at once.
const PIECE: usize = 64 * 1024;

/// What is asked for.
pub(super) struct Question<'a> {
    /// The path with the digest in it.
    pub(super) path: String,
    /// Its name.
    pub(super) digest: Digest,
    /// What it is, for people.
    pub(super) what: &'a str,
    /// How long it must be; `None` where only `max` is known.
    pub(super) length: Option<Bytes>,
    /// How long it may be.
    pub(super) max: Bytes,
}

/// Where an answer's body goes. What has come stays there between two questions.
pub(super) trait Sink {
    /// How much has come.
    fn have(&self) -> u64;
    /// Forget it all.
    fn restart(&mut self) -> io::Result<()>;
    /// Takes the next bytes.
    fn put(&mut self, bytes: &[u8]) -> io::Result<()>;
}

impl Sink for Vec<u8> {
    fn have(&self) -> u64 {
        self.len() as u64
    }
    fn restart(&mut self) -> io::Result<()> {
        self.clear();
        Ok(())
    }
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.extend_from_slice(bytes);
        Ok(())
    }
}

/// Why there is no whole answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The network or the server failed; it may be back.
    Away(String),
    /// Another length than the manifest says.
    Corrupt(Corrupt),
    /// It will not be given.
    Refused(Reason),
    /// The sink failed.
    Sink(io::Error),
}

/// The path `template` with `digest` in it.
pub(super) fn path(template: &str, digest: &Digest) -> String {
    template.replace("{digest}", &digest.hex())
}

/// The tag of what lies under a digest.
pub(super) fn tag(digest: &Digest) -> String {
    digest.to_string()
}

/// Asks for all of it, or for the rest where `sink` has a part.
pub(super) fn ask(
    source: &Source,
    question: &Question<'_>,
    sink: &mut dyn Sink,
) -> Result<(), Trouble> {
    let network = |error| network(&error, question.what);
    let from = sink.have();
    let mut connection = Connection::open(source, Arc::default()).map_err(network)?;
    let tag = tag(&question.digest);
    let mut text = String::new();
    let rest = (from > 0).then_some((from, tag.as_str()));
    connection.question(&question.path, rest, &mut text);
    connection.send(&text).map_err(network)?;
    let head = connection.head().map_err(network)?;
    let problem = problem(&mut connection, &head);
    match judge(
        head.status,
        from,
        question.what,
        &question.digest,
        problem.as_ref(),
    ) {
        Answer::Whole => sink.restart().map_err(Trouble::Sink)?,
        Answer::Rest => {
            if !continues(&head, from) {
                sink.restart().map_err(Trouble::Sink)?;
                return Err(Trouble::Away(format!(
                    "asked for bytes from {from}, got {:?}",
                    head.range
                )));
            }
        }
        Answer::Away(said) => return Err(Trouble::Away(said)),
        Answer::Refused(reason) => return Err(Trouble::Refused(reason)),
    }
    check_length(question, sink.have().saturating_add(head.length))?;
    copy(&mut connection, head.length, question, sink)
}

/// Whether the answer goes on from byte `from`.
pub(super) fn continues(head: &Head, from: u64) -> bool {
    let range = head.range.as_deref();
    range.is_some_and(|range| range.starts_with(&format!("bytes {from}-")))
}

/// The problem that a refusal tells of, read from its body.
pub(super) fn problem(connection: &mut Connection, head: &Head) -> Option<Problem> {
    if head.status < 400 || head.length > PROBLEM_MAX {
        return None;
    }
    let mut text = vec![0; usize::try_from(head.length).ok()?];
    let mut have = 0;
    while have < text.len() {
        // A body that breaks off is as good as none: the status alone decides then.
        have += connection.body(&mut text[have..]).ok()?;
    }
    serde_json::from_slice(&text).ok()
}

/// Whether `found` bytes are neither too many nor, where that is known, too few.
fn check_length(question: &Question<'_>, found: u64) -> Result<(), Trouble> {
    let expected = question.length.unwrap_or(question.max);
    if found > expected.0 || (question.length.is_some() && found < expected.0) {
        return Err(Trouble::Corrupt(Corrupt::StoredLength {
            expected,
            found: Bytes(found),
        }));
    }
    Ok(())
}

fn copy(
    connection: &mut Connection,
    length: u64,
    question: &Question<'_>,
    sink: &mut dyn Sink,
) -> Result<(), Trouble> {
    let mut piece = vec![0; PIECE];
    let mut left = length;
    let began = Instant::now();
    while left > 0 {
        let room = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
        let read = connection.body(&mut piece[..room]);
        let count = read.map_err(|error| network(&error, question.what))?;
        sink.put(&piece[..count]).map_err(Trouble::Sink)?;
        left -= count as u64;
        if began.elapsed() > BODY_MAX {
            return Err(Trouble::Away(format!(
                "it did not come whole within {} s",
                BODY_MAX.as_secs()
            )));
        }
    }
    Ok(())
}

/// A certificate that does not fit will not fit in a minute; everything else on the network may pass.
fn network(error: &io::Error, what: &str) -> Trouble {
    lasting(error, what).map_or_else(|| Trouble::Away(error.to_string()), Trouble::Refused)
}
