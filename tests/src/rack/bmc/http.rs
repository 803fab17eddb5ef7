// SPDX-License-Identifier: Apache-2.0
//! As much of HTTP/1.1 as a BMC speaks. It refuses chunked bodies and anything large.

use serde_json::{Value, json};
use std::io::{self, Read, Write};

/// The longest head.
const HEAD_MAX: usize = 16 << 10;
/// The longest body: a Redfish order has a few hundred bytes.
const BODY_MAX: usize = 64 << 10;

/// A request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) method: String,
    pub(super) path: String,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// Whether the caller wishes the connection to be closed.
    pub(super) closes: bool,
}

impl Question {
    /// The next request; `None` where the caller has closed. `unread` holds what came behind the one before.
    pub(super) fn read(stream: &mut impl Read, unread: &mut Vec<u8>) -> io::Result<Option<Self>> {
        let head = loop {
            if let Some(end) = unread.windows(4).position(|four| four == b"\r\n\r\n") {
                break unread.drain(..end + 4).collect::<Vec<u8>>();
            }
            if unread.len() > HEAD_MAX {
                return Err(io::Error::other("the head is too long"));
            }
            if !more(stream, unread)? {
                return Ok(None);
            }
        };
        let head = String::from_utf8_lossy(&head);
        let mut lines = head.lines();
        let mut words = lines.next().unwrap_or_default().split(' ');
        let mut question = Self {
            method: words.next().unwrap_or_default().to_owned(),
            path: words.next().unwrap_or_default().to_owned(),
            ..Self::default()
        };
        for line in lines {
            if let Some((name, value)) = line.split_once(':') {
                let name = name.trim().to_ascii_lowercase();
                question.headers.push((name, value.trim().to_owned()));
            }
        }
        let closes = question.header("connection");
        question.closes = closes.is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let length = question.header("content-length");
        let length: usize = length.and_then(|text| text.parse().ok()).unwrap_or(0);
        if length > BODY_MAX || question.header("transfer-encoding").is_some() {
            return Err(io::Error::other("the body is too long, or chunked"));
        }
        while unread.len() < length {
            if !more(stream, unread)? {
                return Ok(None);
            }
        }
        question.body = unread.drain(..length).collect();
        Ok(Some(question))
    }

    /// A header by its name in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body as JSON; an object without members where there is none.
    pub(super) fn json(&self) -> Option<Value> {
        if self.body.is_empty() {
            return Some(json!({}));
        }
        serde_json::from_slice(&self.body).ok()
    }
}

fn more(stream: &mut impl Read, unread: &mut Vec<u8>) -> io::Result<bool> {
    let mut piece = [0u8; 4_096];
    let read = stream.read(&mut piece)?;
    unread.extend_from_slice(&piece[..read]);
    Ok(read > 0)
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn json(status: u16, value: &Value) -> Self {
        Self {
            status,
            headers: vec![("Content-Type", "application/json".to_owned())],
            body: value.to_string().into_bytes(),
        }
    }

    pub(super) fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// An error as Redfish writes it.
    pub(super) fn error(status: u16, message: &str) -> Self {
        let error = json!({ "error": {
            "code": "Base.1.18.GeneralError",
            "message": message,
            "@Message.ExtendedInfo": [{ "MessageId": "Base.1.18.GeneralError", "Message": message }],
        }});
        Self::json(status, &error)
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn write(&self, stream: &mut impl Write) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, phrase(self.status));
        head.push_str("OData-Version: 4.0\r\n");
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if self.status != 204 {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        let mut whole = head.into_bytes();
        whole.extend_from_slice(&self.body);
        stream.write_all(&whole)?;
        stream.flush()
    }
}

const fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        412 => "Precondition Failed",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_requests_in_one_piece_are_read_one_after_the_other() {
        let mut bytes: &[u8] = b"PATCH /a HTTP/1.1\r\nContent-Length: 2\r\nX-Auth-Token: t\r\n\r\n{}GET /b HTTP/1.1\r\nConnection: close\r\n\r\n";
        let mut unread = Vec::new();
        let first = Question::read(&mut bytes, &mut unread).unwrap().unwrap();
        assert_eq!(
            (first.method.as_str(), first.path.as_str()),
            ("PATCH", "/a")
        );
        assert_eq!(first.header("x-auth-token"), Some("t"));
        assert_eq!((first.json(), first.closes), (Some(json!({})), false));
        let second = Question::read(&mut bytes, &mut unread).unwrap().unwrap();
        assert_eq!((second.path.as_str(), second.closes), ("/b", true));
        assert_eq!(Question::read(&mut bytes, &mut unread).unwrap(), None);
    }
}
