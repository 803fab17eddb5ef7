// SPDX-License-Identifier: Apache-2.0
//! What an HTTP answer means to one who fetches a piece of an image.

use alloc::format;
use alloc::string::{String, ToString as _};
use groundstate_api::view::Problem;
use groundstate_api::{Digest, Part, Reason, ReasonCode};

/// What to do on an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Read the body: the whole.
    Whole,
    /// Read the body: the rest, from where the question said.
    Rest,
    /// Wait and ask again; what to say meanwhile.
    Away(String),
    /// Stop.
    Refused(Reason),
}

/// The meaning of `status` to one who asked for `what` under `digest`, from byte `from`; `problem` is the body where it
/// was problem details.
#[must_use]
pub fn judge(
    status: u16,
    from: u64,
    what: &str,
    digest: &Digest,
    problem: Option<&Problem>,
) -> Answer {
    let part = || Part::Image {
        image: what.to_string(),
        digest: Some(digest.to_string()),
    };
    let said = problem.map_or_else(
        || format!("HTTP status {status}"),
        |problem| format!("HTTP status {status}: {}", problem.title),
    );
    match status {
        200 => Answer::Whole,
        206 if from > 0 => Answer::Rest,
        // Time-out, too early, too many requests, and whatever the server or a proxy in front of it cannot do just now.
        408 | 425 | 429 | 500..=599 => Answer::Away(said),
        401 | 403 => Answer::Refused(refused(what, problem).about(part()).seen(said)),
        404 | 410 => Answer::Refused(
            Reason::new(
                ReasonCode::ImageMissing,
                format!("{what} is not in the repository"),
                "import the image again, then order the run anew",
            )
            .about(part())
            .seen(said),
        ),
        416 => Answer::Refused(
            Reason::new(
                ReasonCode::ChunkCorrupt,
                format!("the repository's {what} is shorter than its manifest says"),
                "import the image again, then order the run anew",
            )
            .about(part())
            .seen(format!("{said} for bytes from {from}")),
        ),
        _ => Answer::Refused(
            Reason::new(
                ReasonCode::Internal,
                format!("the server's answer to the question for {what} makes no sense"),
                "see that nothing but the provisioner answers at its address",
            )
            .about(part())
            .seen(said),
        ),
    }
}

/// The server's own reason where it gave one, because it knows better.
fn refused(what: &str, problem: Option<&Problem>) -> Reason {
    let next_step = "order a run for this machine; a machine without an open run gets no image";
    problem.map_or_else(
        || {
            Reason::new(
                ReasonCode::NothingOrdered,
                format!("the provisioner does not let this machine have {what}"),
                next_step,
            )
        },
        |problem| {
            Reason::new(
                problem.reason.code,
                problem.reason.what.clone(),
                problem.reason.next_step.clone(),
            )
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_one_meaning() {
        let digest = Digest::of(b"");
        let code = |status, from| match judge(status, from, "a chunk", &digest, None) {
            Answer::Whole => "whole".to_string(),
            Answer::Rest => "rest".to_string(),
            Answer::Away(_) => "away".to_string(),
            Answer::Refused(reason) => reason.code.to_string(),
        };
        for (status, from, meaning) in [
            (200, 0, "whole"),
            (200, 7, "whole"),
            (206, 7, "rest"),
            (206, 0, "internal"),
            (301, 0, "internal"),
            (401, 0, "nothing-ordered"),
            (403, 0, "nothing-ordered"),
            (404, 0, "image-missing"),
            (408, 0, "away"),
            (416, 7, "chunk-corrupt"),
            (418, 0, "internal"),
            (429, 0, "away"),
            (500, 0, "away"),
            (503, 0, "away"),
        ] {
            assert_eq!(code(status, from), meaning, "{status}");
        }
    }

    #[test]
    fn the_servers_own_reason_stands() {
        let reason = Reason::new(ReasonCode::TlsRefused, "another site's key", "boot again");
        let problem = Problem {
            kind: "urn:groundstate:reason:tls-refused".into(),
            title: reason.what.clone(),
            status: 403,
            reason,
        };
        let Answer::Refused(reason) = judge(403, 0, "a chunk", &Digest::of(b""), Some(&problem))
        else {
            panic!("403 is a refusal");
        };
        assert_eq!(
            (reason.code, reason.what.as_str()),
            (ReasonCode::TlsRefused, "another site's key")
        );
    }
}
