// SPDX-License-Identifier: Apache-2.0
//! How a command ends that did not do what it was asked: an exit status, a sentence for a person on standard error, and with
//! `--json` one object in one line on standard output. Every command's refusals and errors are told here and nowhere else.

use crate::client::said::{causes, document_line, tell};
use crate::client::{Refused, Unwell};
use crate::exit;
use clap::ArgMatches;
use groundstate_api::{NodeId, Reason, ReasonCode};
use serde_json::{Value, json};
use std::fmt;
use std::process::ExitCode;

/// The command line is not understood.
pub(crate) const USAGE: &str = "usage";
/// Nobody agreed, or nobody was there to be asked.
pub(crate) const NOT_AGREED: &str = "not-agreed";
/// The time was over.
pub(crate) const TIME_OVER: &str = "time-over";
/// Every other error of this machine's own.
pub(crate) const FAILED: &str = "failed";

/// The codes that are not the API's, and what each means; the guide has the same table.
#[cfg(test)]
const CODES: [(&str, &str); 4] = [
    (USAGE, "the command line is not understood"),
    (NOT_AGREED, "nobody agreed, or nobody was there to be asked"),
    (
        TIME_OVER,
        "the time was over before what was waited for came",
    ),
    (
        FAILED,
        "another error on this machine: a file, a disk, a repository",
    ),
];

/// What to do about an error that does not say so of itself.
const READ_IT: &str = "correct what it says and run it again; --help says what the command takes";

/// The same of several.
const CORRECT_EACH: &str = "correct each of them and run it again";

/// Something was not done here, before anybody could refuse it.
#[derive(Debug)]
pub(crate) struct Failed {
    code: &'static str,
    what: String,
    next_step: String,
}

impl Failed {
    /// With its code, what is wrong, and what to do.
    pub(crate) fn new(
        code: &'static str,
        what: impl Into<String>,
        next_step: impl Into<String>,
    ) -> Self {
        Self {
            code,
            what: what.into(),
            next_step: next_step.into(),
        }
    }

    /// A person should be asked, and there is no terminal.
    pub(crate) fn nobody_to_ask() -> Self {
        Self::new(
            NOT_AGREED,
            "this is not a terminal to ask on",
            "--yes orders without asking",
        )
    }

    /// A person was asked, and typed something else.
    pub(crate) fn not_agreed() -> Self {
        Self::new(
            NOT_AGREED,
            "nothing was ordered",
            "what was asked for was not typed; run it again to be asked again",
        )
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.what, self.next_step)
    }
}

impl std::error::Error for Failed {}

/// Whether a program asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    json: bool,
}

impl Asked {
    /// As the command line was understood.
    pub(crate) fn of(matches: &ArgMatches) -> Self {
        let mut at = matches;
        let mut json = false;
        loop {
            // A command that knows no `--json` was not asked for it.
            json |= at.try_get_one::<bool>("json").ok().flatten() == Some(&true);
            match at.subcommand() {
                Some((_, below)) => at = below,
                None => return Self { json },
            }
        }
    }

    /// Tells an error, and says with what the command ends.
    pub(crate) fn tell(self, error: &anyhow::Error) -> ExitCode {
        if self.json {
            // Where nobody reads it, the exit status says it.
            let _unheard = document_line(&document(error, None).to_string());
        }
        tell(&match error.downcast_ref::<Refused>() {
            Some(refused) => refused.reason.to_string(),
            None => format!("groundstate: {}", causes(error)),
        });
        ExitCode::from(status(error))
    }
}

/// Tells a command line that is not understood, and ends; so does what was asked for instead of a command, such as the help.
pub(crate) fn misunderstood(error: &clap::Error) -> ! {
    let typed = std::env::args_os().take_while(|word| word != "--");
    if error.use_stderr() && typed.into_iter().any(|word| word == "--json") {
        let _unheard = document_line(&usage(&error.render().to_string()).to_string());
    }
    error.exit()
}

fn usage(said: &str) -> Value {
    let said = said.trim().trim_start_matches("error: ");
    let (what, more) = said.split_once("\n\n").unwrap_or((said, ""));
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let more: Vec<String> = more
        .lines()
        .map(words)
        .filter(|line| !line.is_empty() && !line.starts_with("For more information"))
        .collect();
    let next = "correct the command line; --help says what the command takes";
    json!({"error": own(USAGE, &words(what), &more, next), "exit_status": 2})
}

/// The exit status that an error ends with.
pub(crate) fn status(error: &anyhow::Error) -> u8 {
    if let Some(refused) = error.downcast_ref::<Refused>() {
        // Where nobody answers, nobody refuses.
        return match refused.reason.code {
            ReasonCode::ProvisionerUnreachable => exit::ERROR,
            _ => exit::HELD,
        };
    }
    match error.downcast_ref::<Failed>() {
        Some(failed) if failed.code == TIME_OVER => exit::TIME_OVER,
        Some(_) | None => exit::ERROR,
    }
}

/// What a program is told of an error; of the order for one of several nodes, with the node.
pub(crate) fn document(error: &anyhow::Error, node: Option<&NodeId>) -> Value {
    let mut told = json!({"error": of(error), "exit_status": status(error)});
    if let (Some(node), Some(fields)) = (node, told.as_object_mut()) {
        fields.insert("node".to_owned(), json!(node));
    }
    told
}

fn of(error: &anyhow::Error) -> Value {
    let reason = |reason: &Reason| serde_json::to_value(reason).unwrap_or_default();
    if let Some(refused) = error.downcast_ref::<Refused>() {
        return reason(&refused.reason);
    }
    if let Some(unwell) = error.downcast_ref::<Unwell>() {
        return reason(&unwell.reason);
    }
    let failed = error.downcast_ref::<Failed>();
    let mut said = causes(error);
    if let Some(failed) = failed {
        said = said.replacen(&failed.to_string(), &failed.what, 1);
    }
    let mut lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    let what = lines.next().unwrap_or_default().to_owned();
    let evidence: Vec<String> = lines.map(str::to_owned).collect();
    let code = failed.map_or(FAILED, |failed| failed.code);
    let usual = if evidence.is_empty() {
        READ_IT
    } else {
        CORRECT_EACH
    };
    let next = failed.map_or(usual, |failed| failed.next_step.as_str());
    let what = if evidence.is_empty() {
        what.as_str()
    } else {
        what.trim_end_matches(':')
    };
    own(code, what, &evidence, next)
}

/// A reason of this machine's own, with the fields that the API's have.
fn own(code: &str, what: &str, evidence: &[String], next_step: &str) -> Value {
    json!({
        "code": code, "part": null, "what": what, "evidence": evidence, "since": null, "deadline": null,
        "next_automatic": "nothing", "next_step": next_step,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cli;
    use anyhow::anyhow;
    use clap::{ArgAction, Command, CommandFactory as _};

    #[test]
    fn an_error_has_the_fields_of_a_reason_whoever_tells_it() {
        let reason = Reason::new(ReasonCode::PlanRefused, "a run is under way", "wait for it");
        let names = |value: &Value| {
            let fields = value["error"].as_object().unwrap();
            fields.keys().cloned().collect::<Vec<_>>()
        };
        let refused = anyhow::Error::new(Refused {
            reason: reason.clone(),
        });
        let told = document(&refused, Some(&"n1".parse().unwrap()));
        assert_eq!(told["error"], serde_json::to_value(&reason).unwrap());
        assert_eq!(
            (&told["exit_status"], &told["node"]),
            (&3.into(), &"n1".into())
        );
        let reason = Reason::new(ReasonCode::ProvisionerUnreachable, "nobody answers", "look");
        assert_eq!(status(&Refused { reason }.into()), 1);
        let own = document(&anyhow!("two faults:\n  line 1: x\n  line 2: y"), None);
        assert_eq!(names(&own), names(&told));
        assert_eq!(own["error"]["what"], "two faults");
        assert_eq!(own["error"]["evidence"], json!(["line 1: x", "line 2: y"]));
        assert_eq!(
            (&own["error"]["code"], &own["exit_status"]),
            (&FAILED.into(), &1.into())
        );
        let late = Failed::new(TIME_OVER, "not there after 9 s", "ask again");
        let told = document(&anyhow!("a cause").context(late).context("n1"), None);
        assert_eq!(told["error"]["what"], "n1: not there after 9 s: a cause");
        assert_eq!(told["error"]["next_step"], "ask again");
        assert_eq!(told["exit_status"], 4);
    }

    #[test]
    fn a_command_line_that_is_not_understood_is_told_in_one_sentence() {
        let error = Cli::command()
            .try_get_matches_from(["groundstate", "node", "list", "--phase", "hold"])
            .unwrap_err();
        let told = usage(&error.render().to_string());
        let what = told["error"]["what"].as_str().unwrap();
        assert!(what.starts_with("invalid value 'hold'"), "{told}");
        assert!(!what.contains('\n'), "{told}");
        assert_eq!(
            (&told["error"]["code"], &told["exit_status"]),
            (&USAGE.into(), &2.into())
        );
    }

    /// Each command's path, and whether it takes `--json`.
    fn commands(command: &Command, path: &[String], into: &mut Vec<Vec<String>>) {
        let path = [path, &[command.get_name().to_owned()]].concat();
        let takes = |arg: &clap::Arg| {
            arg.get_id() == "json" && matches!(arg.get_action(), ArgAction::SetTrue)
        };
        if command.get_arguments().any(takes) {
            into.push(path.clone());
        }
        for below in command.get_subcommands() {
            commands(below, &path, into);
        }
    }

    #[test]
    fn json_is_the_same_switch_in_every_command_that_has_it() {
        let mut all = Vec::new();
        commands(&Cli::command(), &[], &mut all);
        assert!(all.len() > 50, "{all:?}");
        // What takes it by another name or in another way would be told to nobody.
        fn other(command: &Command) -> usize {
            let odd = command.get_arguments().filter(|arg| {
                let json = arg.get_id() == "json" || arg.get_long() == Some("json");
                let same = arg.get_id() == "json"
                    && arg.get_long() == Some("json")
                    && matches!(arg.get_action(), ArgAction::SetTrue);
                json && !same
            });
            odd.count() + command.get_subcommands().map(other).sum::<usize>()
        }
        assert_eq!(other(&Cli::command()), 0);
        let matches = Cli::command()
            .try_get_matches_from(["groundstate", "node", "explain", "n1", "--json"])
            .unwrap();
        assert_eq!(Asked::of(&matches), Asked { json: true });
        let matches = Cli::command()
            .try_get_matches_from(["groundstate", "node", "explain", "n1"])
            .unwrap();
        assert_eq!(Asked::of(&matches), Asked { json: false });
    }

    #[test]
    fn the_guide_has_the_codes_that_are_not_the_apis() {
        let guide =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guides/terminal.md");
        let guide = std::fs::read_to_string(guide).unwrap();
        for (code, means) in CODES {
            assert!(guide.contains(&format!("| `{code}` | {means} |")), "{code}");
            assert!(ReasonCode::ALL.iter().all(|of_api| of_api.as_str() != code));
        }
    }
}
