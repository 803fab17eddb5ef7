// SPDX-License-Identifier: Apache-2.0
//! Reads a site's XML strictly: no document type, no entities of its own, no name spaces, no text beside elements; depth and
//! number of elements have an end.

use super::super::lines::{Counter, Lines};
use super::{IN_RACKS, ROOT, SCHEMA, snake};
use roxmltree::{Document, Node, ParsingOptions};
use serde_json::{Map, Value};

/// Elements within elements: a site needs six.
const DEPTH_MAX: usize = 16;
/// Elements, attributes' texts and comments: 10,000 nodes with their hardware have 500,000.
const NODES_MAX: u32 = 2_000_000;

/// An element, with the line that it begins in.
struct Thing {
    line: usize,
    holds: Holds,
}

enum Holds {
    Text(String),
    /// By key, in the file's order within one key.
    Fields(Vec<(String, Vec<Thing>)>),
}

/// What is odd, each with its line.
pub(in super::super) type Oddities = Vec<(usize, String)>;

/// The document, and what is odd in it. Lines of fields go into `lines`.
///
/// # Errors
/// Where it is no XML, or none of a site.
pub(in super::super) fn read(
    text: &str,
    lines: &mut Lines,
) -> Result<(Value, Oddities), Vec<String>> {
    if let Some(line) = too_deep(text) {
        return Err(vec![format!(
            "line {line}: elements within elements; {DEPTH_MAX} is the most"
        )]);
    }
    let options = ParsingOptions {
        allow_dtd: false,
        nodes_limit: NODES_MAX,
        ..ParsingOptions::default()
    };
    let document = Document::parse_with_options(text, options).map_err(|error| {
        let line = error.pos().row;
        vec![format!("line {line}: no XML as it is read here: {error}")]
    })?;
    let root = document.root_element();
    let counter = Counter::of(text);
    let mut odd = Vec::new();
    if root.tag_name().name() != ROOT || root.tag_name().namespace().is_some() {
        let line = counter.line(root.range().start);
        return Err(vec![format!(
            "line {line}: the outermost element should be <{ROOT}>"
        )]);
    }
    let schema = root.attribute("schema").unwrap_or(SCHEMA);
    if schema != SCHEMA {
        return Err(vec![format!(
            "schema {schema:?} is not known here; {SCHEMA} is"
        )]);
    }
    let mut site = thing(root, 0, &counter, &mut odd);
    if let Holds::Fields(fields) = &mut site.holds {
        fields.retain(|(key, _)| key != "schema");
        out_of_racks(fields, &mut odd);
    }
    Ok((value("", &site, lines), odd))
}

/// The line in which elements go deeper than is good, before anything is built of them.
fn too_deep(text: &str) -> Option<usize> {
    let (mut depth, mut line) = (0usize, 1usize);
    let mut rest = text;
    while let Some(at) = rest.find(['<', '\n']) {
        let (_, here) = rest.split_at(at);
        if let Some(after) = here.strip_prefix('\n') {
            line += 1;
            rest = after;
            continue;
        }
        let skipped = ["<!--", "<![CDATA[", "<?"].iter().zip(["-->", "]]>", "?>"]);
        let skipped = skipped
            .filter(|(begin, _)| here.starts_with(**begin))
            .find_map(|(begin, end)| {
                here.get(begin.len()..)?
                    .find(end)
                    .map(|at| begin.len() + at + end.len())
            });
        if let Some(length) = skipped {
            let (over, after) = here.split_at(length);
            line += over.matches('\n').count();
            rest = after;
            continue;
        }
        let end = end_of_tag(here);
        let (tag, after) = here.split_at(end);
        line += tag.matches('\n').count();
        if tag.starts_with("</") {
            depth = depth.saturating_sub(1);
        } else if !tag.ends_with("/>") {
            depth += 1;
        }
        if depth > DEPTH_MAX {
            return Some(line);
        }
        rest = after;
    }
    None
}

/// Where a tag ends: the first `>` that is not within quotes.
fn end_of_tag(text: &str) -> usize {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '>') => return at + 1,
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            _ => {}
        }
    }
    text.len()
}

fn thing(
    node: Node<'_, '_>,
    depth: usize,
    counter: &Counter,
    odd: &mut Vec<(usize, String)>,
) -> Thing {
    let line = counter.line(node.range().start);
    let name = node.tag_name().name();
    if node.tag_name().namespace().is_some() {
        odd.push((line, format!("<{name}>: there are no name spaces here")));
    }
    let mut fields: Vec<(String, Vec<Thing>)> = Vec::new();
    let mut put =
        |key: String, thing: Thing| match fields.iter_mut().find(|(known, _)| *known == key) {
            Some((_, things)) => things.push(thing),
            None => fields.push((key, vec![thing])),
        };
    for attribute in node.attributes() {
        let line = counter.line(attribute.range().start);
        let holds = Holds::Text(attribute.value().to_owned());
        put(snake(attribute.name()), Thing { line, holds });
    }
    let mut text = String::new();
    let (mut elements, mut is_plain) = (0usize, true);
    for child in node.children() {
        if child.is_element() && depth < DEPTH_MAX {
            elements += 1;
            put(
                snake(child.tag_name().name()),
                thing(child, depth + 1, counter, odd),
            );
        } else if child.is_text() {
            let piece = child.text().unwrap_or_default();
            is_plain &= piece.trim().is_empty();
            text.push_str(piece);
        }
    }
    let is_table = elements > 0 || node.attributes().len() > 0;
    if is_table && !is_plain {
        odd.push((
            line,
            format!("<{name}>: text beside elements or attributes"),
        ));
    }
    let holds = if is_table {
        Holds::Fields(fields)
    } else {
        Holds::Text(text)
    };
    Thing { line, holds }
}

/// What stands within racks becomes what says its rack.
fn out_of_racks(fields: &mut Vec<(String, Vec<Thing>)>, odd: &mut Vec<(usize, String)>) {
    let mut out: Vec<(&str, Vec<Thing>)> = Vec::new();
    for (_, racks) in fields.iter_mut().filter(|(key, _)| key == "rack") {
        for rack in racks {
            let Holds::Fields(of_rack) = &mut rack.holds else {
                continue;
            };
            let name = of_rack
                .iter()
                .find_map(|(key, things)| match things.as_slice() {
                    [
                        Thing {
                            holds: Holds::Text(text),
                            ..
                        },
                    ] if key == "name" => Some(text.clone()),
                    _ => None,
                });
            for kind in IN_RACKS {
                let Some(at) = of_rack.iter().position(|(key, _)| key == kind) else {
                    continue;
                };
                let (_, mut things) = of_rack.remove(at);
                for thing in &mut things {
                    stands_in(thing, kind, name.as_deref().unwrap_or_default(), odd);
                }
                out.push((kind, things));
            }
        }
    }
    for (kind, things) in out {
        match fields.iter_mut().find(|(key, _)| key == kind) {
            Some((_, all)) => all.extend(things),
            None => fields.push((kind.to_owned(), things)),
        }
    }
}

/// Writes the rack's name where the thing would say it itself.
fn stands_in(thing: &mut Thing, kind: &str, rack: &str, odd: &mut Vec<(usize, String)>) {
    let line = thing.line;
    let says = |line: usize| Thing {
        line,
        holds: Holds::Text(rack.to_owned()),
    };
    let target = if kind == "node" {
        let Holds::Fields(fields) = &mut thing.holds else {
            return;
        };
        if !fields.iter().any(|(key, _)| key == "slot") {
            let slot = Thing {
                line,
                holds: Holds::Fields(Vec::new()),
            };
            fields.push(("slot".to_owned(), vec![slot]));
        }
        let slots = fields.iter_mut().find(|(key, _)| key == "slot");
        match slots.and_then(|(_, slots)| slots.first_mut()) {
            Some(slot) => slot,
            None => return,
        }
    } else {
        thing
    };
    if let Holds::Text(text) = &target.holds
        && text.trim().is_empty()
    {
        target.holds = Holds::Fields(Vec::new());
    }
    if let Holds::Fields(fields) = &mut target.holds {
        if fields.iter().any(|(key, _)| key == "rack") {
            odd.push((
                line,
                format!("what stands within rack {rack:?} does not say its rack again"),
            ));
        } else {
            fields.push(("rack".to_owned(), vec![says(line)]));
        }
    }
}

/// The document: what is there several times is a list.
fn value(path: &str, thing: &Thing, lines: &mut Lines) -> Value {
    lines.put(path, thing.line);
    match &thing.holds {
        Holds::Text(text) => Value::String(text.clone()),
        Holds::Fields(fields) => {
            let mut object = Map::new();
            for (key, things) in fields {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                let held = match things.as_slice() {
                    [one] => value(&path, one, lines),
                    several => {
                        let values = several.iter().enumerate();
                        let values = values
                            .map(|(index, thing)| value(&format!("{path}[{index}]"), thing, lines));
                        Value::Array(values.collect())
                    }
                };
                object.insert(key.clone(), held);
            }
            Value::Object(object)
        }
    }
}
