// SPDX-License-Identifier: Apache-2.0
//! Reports on standard output: a page for people, an object a line for programs, Prometheus text for collectors.

use anyhow::Context as _;
use clap::Args;
use groundstate_api::SCHEMA;
use groundstate_api::health::{DeviceReport, Verdict, gravest, page};
use serde::Serialize;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};

/// How reports are printed.
#[derive(Args, Clone, Copy)]
pub(crate) struct Form {
    /// Print one JSON object per device, a line each: schema, device, kind, verdict, place, findings, figures
    #[arg(long, conflicts_with = "metrics")]
    json: bool,
    /// Print Prometheus text
    #[arg(long)]
    metrics: bool,
}

/// One line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    schema: u32,
    #[serde(flatten)]
    report: &'a DeviceReport,
}

/// Prints reports with a heading for people, and what could not be looked at; returns the exit status of the gravest.
pub(crate) fn reports(
    form: Form,
    heading: &[String],
    reports: &[DeviceReport],
    missed: &[String],
) -> anyhow::Result<u8> {
    if form.json {
        let mut text = String::new();
        for report in reports {
            let line = Line {
                schema: SCHEMA,
                report,
            };
            text.push_str(&serde_json::to_string(&line)?);
            text.push('\n');
        }
        print(&text)?;
    } else if form.metrics {
        print(&metrics(reports))?;
    } else {
        print(&human(heading, reports, missed))?;
    }
    if form.json || form.metrics {
        for line in missed {
            eprintln!("hw-diag: could not look: {}", harmless(line));
        }
    }
    Ok(super::exit(gravest(reports)))
}

fn human(heading: &[String], reports: &[DeviceReport], missed: &[String]) -> String {
    let colour = colour();
    let mut text = String::new();
    for line in heading {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", harmless(line));
    }
    for line in page(reports) {
        let _ = writeln!(text, "{}", paint(&harmless(&line), colour));
    }
    for line in missed {
        let _ = writeln!(text, "could not look: {}", harmless(line));
    }
    text
}

/// A line that steers no terminal and is no second line: names of files and what captures say come from anywhere.
pub(crate) fn harmless(line: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    line.chars()
        .map(|c| if steers(c) { '?' } else { c })
        .collect()
}

/// Whether the terminal wants colours.
pub(crate) fn colour() -> bool {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !plain && std::io::stdout().is_terminal()
}

/// Paints the verdict at a line's start.
fn paint(line: &str, colour: bool) -> String {
    const COLOURS: [(Verdict, &str); 4] = [
        (Verdict::Fail, "31;1"),
        (Verdict::Warn, "33"),
        (Verdict::Unknown, "35"),
        (Verdict::Ok, "32"),
    ];
    let found = COLOURS.iter().find_map(|(verdict, code)| {
        let rest = line.strip_prefix(verdict.word())?;
        rest.starts_with([' ', ':'])
            .then_some((verdict.word(), *code, rest))
    });
    match found {
        Some((word, code, rest)) if colour => format!("\x1b[{code}m{word}\x1b[0m{rest}"),
        Some(_) | None => line.to_owned(),
    }
}

/// A value in a label: backslash, quote and line feed are escaped (Prometheus text format).
fn label(text: &str) -> String {
    harmless(text).replace('\\', "\\\\").replace('"', "\\\"")
}

fn metrics(reports: &[DeviceReport]) -> String {
    let mut text = String::from(
        "# HELP hw_diag_verdict Verdict on a device: 0 ok, 1 warn, 2 fail, 3 unknown.\n# TYPE hw_diag_verdict gauge\n",
    );
    for report in reports {
        let _ = writeln!(
            text,
            "hw_diag_verdict{{{},model=\"{}\",slot=\"{}\"}} {}",
            labels(report),
            label(&report.place.model),
            label(&report.place.slot),
            super::exit(report.verdict)
        );
    }
    text.push_str("# HELP hw_diag_finding A finding on a device.\n# TYPE hw_diag_finding gauge\n");
    for report in reports {
        for finding in &report.findings {
            let _ = writeln!(
                text,
                "hw_diag_finding{{{},code=\"{}\",verdict=\"{}\"}} 1",
                labels(report),
                label(&finding.code),
                finding.verdict.as_str()
            );
        }
    }
    let mut names: Vec<&String> = reports
        .iter()
        .flat_map(|report| report.figures.keys())
        .collect();
    names.sort();
    names.dedup();
    for name in names {
        let metric: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .collect();
        let _ = writeln!(text, "# TYPE hw_diag_{metric} gauge");
        for report in reports {
            if let Some(value) = report.figures.get(name) {
                let _ = writeln!(text, "hw_diag_{metric}{{{}}} {value}", labels(report));
            }
        }
    }
    text
}

/// The kind as it stands in JSON, so that both can be joined.
fn kind(report: &DeviceReport) -> String {
    let value = serde_json::to_value(report.kind).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

fn labels(report: &DeviceReport) -> String {
    format!(
        "device=\"{}\",kind=\"{}\",serial=\"{}\"",
        label(&report.device),
        kind(report),
        label(&report.place.serial)
    )
}

/// A reader that closes early (`hw-diag | head`) is no error of ours, but the page was not delivered: say so.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("standard output")
}

/// One JSON document.
pub(crate) fn document(value: &impl Serialize) -> anyhow::Result<()> {
    print(&format!("{}\n", serde_json::to_string_pretty(value)?))
}
