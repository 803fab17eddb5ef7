// SPDX-License-Identifier: Apache-2.0
//! The signature of a request: HMAC-SHA-256 over its time, a dot and its body, so that neither can be exchanged or replayed late.

use ring::hmac;
use std::fmt::Write as _;

/// The header's value: `t=1800000000,v1=<64 hex digits>`.
pub(super) fn header(key: &[u8], seconds: u64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let mut context = hmac::Context::with_key(&key);
    context.update(seconds.to_string().as_bytes());
    context.update(b".");
    context.update(body);
    let mut text = format!("t={seconds},v1=");
    for byte in context.sign().as_ref() {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    #[test]
    fn the_signature_is_what_openssl_makes() {
        let mut openssl = Command::new("openssl")
            .args(["dgst", "-sha256", "-hmac", "a secret", "-hex"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = openssl.stdin.take().unwrap();
        stdin.write_all(b"1800000000.{\"events\":[]}").unwrap();
        drop(stdin);
        let said = String::from_utf8(openssl.wait_with_output().unwrap().stdout).unwrap();
        let hex = said.trim().rsplit(' ').next().unwrap();
        let ours = header(b"a secret", 1_800_000_000, b"{\"events\":[]}");
        assert_eq!(ours, format!("t=1800000000,v1={hex}"));
    }
}
