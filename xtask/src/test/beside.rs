// SPDX-License-Identifier: Apache-2.0
//! Work beside the checks, out of the processor time that they leave: tests wait for clocks and other programs, and builds
//! wait for nobody.

use crate::command::{command, run};
use crate::progress::note;
use std::fs;
use std::path::Path;

/// How much the work gives way: beside a test that computes it gets a thirtieth of a core, beside one that waits all of it.
const NICE: &str = "15";

/// Whatever this thread and the programs it starts do from now on gives way to everything else. Where that cannot be had, it
/// is said, and the work goes on.
pub(super) fn gives_way() {
    // The kernel keeps it for each thread; a process id would name the main one.
    let thread = fs::read_link("/proc/thread-self").ok();
    let id = thread.as_deref().and_then(Path::file_name);
    let Some(id) = id else {
        note("/proc/thread-self cannot be read: what is built beside the tests takes their time");
        return;
    };
    let mut renice = command("renice", ["-n", NICE, "-p"]);
    if let Err(error) = run(renice.arg(id)) {
        note(&format!(
            "what is built beside the tests takes their time: {error:#}"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The nineteenth field of a thread's `stat`, behind the name in brackets.
    fn nice() -> String {
        let stat = fs::read_to_string("/proc/thread-self/stat").unwrap();
        let behind = stat.rsplit_once(") ").unwrap().1;
        behind.split(' ').nth(16).unwrap().to_owned()
    }

    #[test]
    fn it_holds_for_the_thread_and_what_it_starts_and_for_nobody_else() {
        let before = nice();
        std::thread::spawn(|| {
            gives_way();
            assert_eq!(nice(), NICE);
            let started = crate::command::text(&mut command("nice", [] as [&str; 0])).unwrap();
            assert_eq!(started.trim(), NICE);
        })
        .join()
        .unwrap();
        assert_eq!(nice(), before);
    }
}
