// SPDX-License-Identifier: Apache-2.0
//! What a server of images could not give, on standard error: each cause once, however many ask and however often.

use std::collections::BTreeSet;
use std::fmt::{Debug, Write as _};
use std::sync::{Mutex, PoisonError};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Causes that are remembered; with one more they are all forgotten, and are told again.
const CAUSES_MAX: usize = 256;

/// The causes that were told.
#[derive(Debug, Default)]
pub(super) struct Told(Mutex<BTreeSet<String>>);

impl Told {
    fn is_new(&self, cause: String) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= CAUSES_MAX {
            told.clear();
        }
        told.insert(cause)
    }
}

impl<S: Subscriber> Layer<S> for Told {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        *metadata.level() == Level::ERROR
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::ERROR)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut said = Said::default();
        event.record(&mut said);
        let line = said.line();
        if self.is_new(said.cause.unwrap_or_else(|| line.clone())) {
            eprintln!("{line}");
        }
    }
}

/// An event's fields.
#[derive(Debug, Default)]
struct Said {
    what: String,
    digest: String,
    message: String,
    error: String,
    cause: Option<String>,
}

impl Said {
    fn line(&self) -> String {
        let mut line = String::new();
        for word in [&self.what, &self.digest, &self.message] {
            if !word.is_empty() {
                line.push_str(word);
                line.push(' ');
            }
        }
        let line = line.trim_end();
        if self.error.is_empty() {
            line.to_owned()
        } else {
            format!("{line}: {} (this cause is told once)", self.error)
        }
    }
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let into = match field.name() {
            "what" => &mut self.what,
            "digest" => &mut self.digest,
            "message" => &mut self.message,
            "error" => &mut self.error,
            "cause" => self.cause.get_or_insert_default(),
            _ => return,
        };
        let _always = write!(into, "{value:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once_and_what_is_remembered_is_bounded() {
        let told = Told::default();
        assert!(told.is_new("refused".to_owned()));
        assert!(!told.is_new("refused".to_owned()));
        for number in 0..CAUSES_MAX {
            assert!(told.is_new(number.to_string()));
        }
        assert!(told.is_new("refused".to_owned()));
        assert!(told.0.lock().unwrap().len() <= CAUSES_MAX);
    }
}
