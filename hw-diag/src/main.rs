// SPDX-License-Identifier: Apache-2.0
//! The `hw-diag` command: the verdict on the machine it runs on, or on what was captured elsewhere.
//!
//! Exit status: 0 ok, 1 warn, 2 fail, 3 unknown; 64 and above are errors of usage, input or output (sysexits.h).

mod command;

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = match command::Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(refused) => {
            let is_help = !refused.use_stderr();
            // A closed terminal is no reason to fail twice.
            drop(refused.print());
            return if is_help {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(command::EXIT_USAGE)
            };
        }
    };
    match command::run(&arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("hw-diag: {}", command::harmless(&format!("{error:#}")));
            ExitCode::from(command::exit_of(&error))
        }
    }
}
