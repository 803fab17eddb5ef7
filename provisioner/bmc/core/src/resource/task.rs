// SPDX-License-Identifier: Apache-2.0
//! A task that goes on after 202 (DSP0266, 12.2).

use crate::answer::Answer;
use crate::link::Link;
use crate::words;
use alloc::string::String;

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// It goes on.
    Running,
    /// It ended well.
    Completed,
    /// It ended otherwise.
    Failed,
}

/// A task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// How it stands.
    pub state: TaskState,
    /// Where it is watched.
    pub monitor: Option<Link>,
    /// What it says.
    pub says: String,
}

impl Task {
    /// Reads a `Task`; `None` for another resource, as some services answer when a task ended.
    #[must_use]
    pub fn read(answer: &Answer) -> Option<Self> {
        let top = answer.top();
        let word = top.word("TaskState")?;
        let bad = top
            .word("TaskStatus")
            .is_some_and(|status| status == "Critical");
        let state = match word {
            "Completed" if bad => TaskState::Failed,
            "Completed" => TaskState::Completed,
            "Exception" | "Killed" | "Cancelled" => TaskState::Failed,
            _ => TaskState::Running,
        };
        Some(Self {
            state,
            monitor: top.link("TaskMonitor").or_else(|| top.link("@odata.id")),
            says: words::of_task(top).unwrap_or_else(|| word.into()),
        })
    }
}
