// SPDX-License-Identifier: Apache-2.0
//! A node's serial console as QEMU logs it: lines in order, each found once.

use super::RackError;
use super::parts::POLL;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// How many lines of the console an error message shows.
const SHOWN_LINES: usize = 12;

/// A reader of a serial log. It has a place in the log, and looks forward only.
#[derive(Clone, Debug)]
pub struct SerialLog {
    path: PathBuf,
    /// Where in the file the first byte of `unread` stands, plus the length of `unread`.
    read_to: u64,
    unread: Vec<u8>,
}

impl SerialLog {
    /// A reader at the log's beginning. The file need not be there yet.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_path_buf(),
            read_to: 0,
            unread: Vec::new(),
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Goes to the log's present end: what was said before is not found any more.
    pub fn skip_to_end(&mut self) {
        self.unread.clear();
        self.read_to = self.path.metadata().map_or(0, |m| m.len());
    }

    /// The next whole line, without colours and control characters, when there is one.
    ///
    /// # Errors
    /// The file, when it cannot be read.
    pub fn next_line(&mut self) -> Result<Option<String>, RackError> {
        self.fetch()?;
        let Some(end) = self.unread.iter().position(|b| *b == b'\n') else {
            return Ok(None);
        };
        let line: Vec<u8> = self.unread.drain(..=end).collect();
        Ok(Some(plain(&line)))
    }

    /// Waits until a line contains `pattern`, and gives that line; the reader then stands behind it. A line without
    /// an end counts too, so that a prompt is found. `alive` is asked meanwhile, and ends the wait with its error.
    ///
    /// # Errors
    /// [`RackError::TooLong`] with the console's last lines.
    pub fn wait_for_line(
        &mut self,
        pattern: &str,
        limit: Duration,
        alive: impl FnMut() -> Result<(), RackError>,
    ) -> Result<String, RackError> {
        self.wait_for(pattern, limit, false, alive)
    }

    /// The same, and the line has come to its end: for who reads more in it than `pattern`.
    ///
    /// # Errors
    /// As [`Self::wait_for_line`].
    pub fn wait_for_whole_line(
        &mut self,
        pattern: &str,
        limit: Duration,
        alive: impl FnMut() -> Result<(), RackError>,
    ) -> Result<String, RackError> {
        self.wait_for(pattern, limit, true, alive)
    }

    fn wait_for(
        &mut self,
        pattern: &str,
        limit: Duration,
        is_whole: bool,
        mut alive: impl FnMut() -> Result<(), RackError>,
    ) -> Result<String, RackError> {
        let until = Instant::now() + limit;
        loop {
            // Asked before reading: what a node says last is read before its end counts.
            let alive = alive();
            while let Some(line) = self.next_line()? {
                if line.contains(pattern) {
                    return Ok(line);
                }
            }
            let begun = plain(&self.unread);
            if !is_whole && begun.contains(pattern) {
                self.unread.clear();
                return Ok(begun);
            }
            alive?;
            if Instant::now() >= until {
                let what = format!("a line with {pattern:?} on the console");
                let detail = format!("; it says:\n{}", self.tail(SHOWN_LINES));
                return Err(RackError::TooLong {
                    what,
                    limit,
                    detail,
                });
            }
            thread::sleep(POLL);
        }
    }

    /// The last lines of the whole log.
    #[must_use]
    pub fn tail(&self, lines: usize) -> String {
        let bytes = std::fs::read(&self.path).unwrap_or_default();
        let text: Vec<String> = bytes
            .split(|b| *b == b'\n')
            .map(plain)
            .filter(|l| !l.trim().is_empty())
            .collect();
        text[text.len().saturating_sub(lines)..].join("\n")
    }

    fn fetch(&mut self) -> Result<(), RackError> {
        let failed = || RackError::file(&self.path);
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed()(error)),
        };
        file.seek(SeekFrom::Start(self.read_to)).map_err(failed())?;
        let read = file.read_to_end(&mut self.unread).map_err(failed())?;
        self.read_to += u64::try_from(read).unwrap_or_default();
        Ok(())
    }
}

/// Text without terminal sequences (ECMA-48 CSI) and control characters.
fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' && chars.next_if_eq(&'[').is_some() {
            // Parameters end with the first character from '@' to '~'.
            while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {}
        } else if c == '\t' || !c.is_control() {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const NOW: Duration = Duration::ZERO;

    #[test]
    fn lines_are_found_in_order_and_once() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(
            file.path(),
            "one\r\n\u{1b}[1;31mtw\u{1b}[0mo\r\none\nlogin: ",
        )
        .unwrap();
        let mut log = SerialLog::new(file.path());
        let mut wait = |pattern: &str| log.wait_for_line(pattern, NOW, || Ok(()));
        assert_eq!(wait("two").unwrap(), "two");
        assert_eq!(wait("one").unwrap(), "one");
        assert_eq!(wait("login:").unwrap(), "login: ");
        let text = wait("one").unwrap_err().to_string();
        assert!(
            text.contains("\"one\"") && text.ends_with("login: "),
            "{text}"
        );
    }

    #[test]
    fn a_whole_line_is_waited_for_to_its_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "digest 34ea").unwrap();
        let mut log = SerialLog::new(file.path());
        let mut rest = Some(());
        let line = log.wait_for_whole_line("digest", Duration::from_secs(60), || {
            // The rest comes while it is waited for.
            if rest.take().is_some() {
                return Ok(());
            }
            fs::write(file.path(), "digest 34eae0e2\n").unwrap();
            Ok(())
        });
        assert_eq!(line.unwrap(), "digest 34eae0e2");
    }

    #[test]
    fn what_a_node_says_last_counts_before_its_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "bye\n").unwrap();
        let ended = || Err(RackError::QmpBroken("ended".to_owned()));
        let mut log = SerialLog::new(file.path());
        assert_eq!(
            log.wait_for_line("bye", Duration::from_secs(60), ended)
                .unwrap(),
            "bye"
        );
        assert!(
            log.wait_for_line("more", Duration::from_secs(60), ended)
                .is_err()
        );
        fs::write(file.path(), "bye\nagain\n").unwrap();
        assert_eq!(log.next_line().unwrap().as_deref(), Some("again"));
        log.skip_to_end();
        assert_eq!(log.next_line().unwrap(), None);
        let mut none = SerialLog::new(Path::new("/nonexistent/serial.log"));
        assert_eq!(none.next_line().unwrap(), None);
    }
}
