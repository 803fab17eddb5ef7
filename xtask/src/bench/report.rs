// SPDX-License-Identifier: Apache-2.0
//! The report of a bench: `figures.json` for programs, `index.html` with a picture a figure for people.

use super::machine::Machine;
use super::svg::{bars, escaped, ratio};
use super::table::{closing, goal, line};
use crate::progress::length;
use anyhow::{Context as _, Result};
use groundstate_tests::compare::{Figure, Verdict};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// How the page looks: it stands alone, without a file beside it but the pictures.
const STYLE: &str = "body{font:15px/1.45 sans-serif;max-width:780px;margin:2em auto;padding:0 1em;color:#111}\
    h2{font-size:1.05em;margin:2em 0 .3em}p,li{margin:.2em 0}.ok{color:#1f6f54}.short{color:#b3261e}.reported{color:#555}\
    ul{color:#444;padding-left:1.2em}";

/// Everything as JSON: the machine, and each figure with its verdict.
fn json(bench: &str, machine: &Machine, figures: &[Figure]) -> Result<Value> {
    let mut rows = Vec::new();
    for figure in figures {
        let mut row = serde_json::to_value(figure).context("a figure as JSON")?;
        if let Some(row) = row.as_object_mut() {
            row.insert("verdict".to_owned(), figure.verdict().as_str().into());
        }
        rows.push(row);
    }
    Ok(json!({ "bench": bench, "machine": machine.json(), "figures": rows }))
}

/// Writes JSON, pictures and page into `folder`; returns the page.
fn write(folder: &Path, bench: &str, machine: &Machine, figures: &[Figure]) -> Result<PathBuf> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    write_file(
        &folder.join("figures.json"),
        &pretty(&json(bench, machine, figures)?)?,
    )?;
    for (number, figure) in figures.iter().enumerate() {
        if let Some(drawn) = bars(figure) {
            write_file(&folder.join(picture(number)), &drawn)?;
        }
    }
    let path = folder.join("index.html");
    write_file(&path, &page(bench, machine, figures))?;
    Ok(path)
}

/// Ends a bench: writes the report, and the figures where they were asked for, prints every line again and says whether a
/// goal was missed.
pub(super) fn close(
    bench: &str,
    folder: &Path,
    also: Option<&Path>,
    machine: &Machine,
    figures: &[Figure],
    began: Instant,
) -> Result<ExitCode> {
    let page = write(folder, bench, machine, figures)?;
    if let Some(path) = also {
        write_file(path, &pretty(&json(bench, machine, figures)?)?)?;
    }
    println!("\n{bench}, measured in {}:", length(began.elapsed()));
    for figure in figures {
        println!("{}", line(figure));
    }
    println!("\nreport: {}", page.display());
    println!("{}", closing(figures));
    let is_short = figures
        .iter()
        .any(|figure| figure.verdict() == Verdict::Short);
    Ok(ExitCode::from(u8::from(is_short)))
}

/// JSON as people read it.
fn pretty(value: &Value) -> Result<String> {
    Ok(serde_json::to_string_pretty(value).context("JSON")? + "\n")
}

fn write_file(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn picture(number: usize) -> String {
    format!("figure-{:02}.svg", number + 1)
}

fn page(bench: &str, machine: &Machine, figures: &[Figure]) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Bench: {bench}</title>\n<style>{STYLE}</style>\n\
         <h1>Bench: {bench}</h1>\n"
    );
    for fact in machine.lines() {
        out.push_str(&format!("<p>{}</p>\n", escaped(&fact)));
    }
    out.push_str(&format!("<p><strong>{}</strong></p>\n", closing(figures)));
    for (number, figure) in figures.iter().enumerate() {
        out.push_str(&section(number, figure));
    }
    out.push_str("</html>\n");
    out
}

fn section(number: usize, figure: &Figure) -> String {
    let verdict = figure.verdict().as_str();
    let mut out = format!(
        "<h2>{} <span class=\"{verdict}\">{verdict}</span></h2>\n",
        escaped(&figure.name)
    );
    if let Some(why) = &figure.missing {
        out.push_str(&format!("<p>No figure: {}</p>\n", escaped(why)));
        return out;
    }
    // Pictures stand in the page too, so that it can be sent alone.
    out.push_str(&bars(figure).unwrap_or_default());
    let mut words: Vec<String> = ratio(figure).into_iter().collect();
    words.extend(figure.goal.map(|wanted| format!("goal {}", goal(wanted))));
    if !words.is_empty() {
        out.push_str(&format!("<p>{}</p>\n", escaped(&words.join(", "))));
    }
    let mut notes = vec![format!("ours: {}", figure.ours.what)];
    notes.extend(
        figure
            .peer
            .iter()
            .map(|peer| format!("peer: {}", peer.what)),
    );
    notes.extend(figure.notes.iter().cloned());
    notes.push(format!("alone: {}", picture(number)));
    let items: Vec<String> = notes
        .iter()
        .map(|note| format!("<li>{}</li>", escaped(note)))
        .collect();
    out.push_str(&format!("<ul>{}</ul>\n", items.join("\n")));
    out
}

/// Prints a figure: its line, then what is to be known of it.
pub(super) fn print(figure: &Figure) {
    println!("{}", line(figure));
    for note in &figure.notes {
        println!("    {note}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundstate_tests::compare::Goal;

    #[test]
    fn everything_is_in_the_report() {
        let folder = tempfile::tempdir().unwrap();
        let good = Figure::new("a & b", "ms", "our way", vec![1.0, 2.0])
            .against("their way", vec![4.0, 4.0], "ours / peer", vec![0.25, 0.5])
            .goal(Goal::AtMost(1.1))
            .note("checked");
        let figures = [good, Figure::missing("gone", "no <tool>".to_owned())];
        let page = write(folder.path(), "storage", &Machine::default(), &figures).unwrap();
        let text = fs::read_to_string(page).unwrap();
        for part in [
            "a &amp; b",
            "<svg",
            "their way",
            "0.38 (0.25 to 0.5)",
            "goal at most 1.1",
            "checked",
            "no &lt;tool&gt;",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(
            folder.path().join("figure-01.svg").exists()
                && !folder.path().join("figure-02.svg").exists()
        );
        let json: Value =
            serde_json::from_str(&fs::read_to_string(folder.path().join("figures.json")).unwrap())
                .unwrap();
        assert_eq!(json["figures"][0]["verdict"], "ok");
        assert_eq!(json["figures"][1]["verdict"], "short");
        assert_eq!(json["figures"][0]["peer"]["values"][0], 4.0);
    }
}
