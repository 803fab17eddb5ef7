// SPDX-License-Identifier: Apache-2.0
//! What the reader of a document says of a value, in words of the file: what stands there, and what should.

use prov_core::near::meant;

/// The sentence for a person; the reader's own where it is one already.
pub(crate) fn plain(message: &str) -> String {
    if let Some(rest) = strip(message, &["invalid type: ", "invalid value: "])
        && let Some((found, wanted)) = rest.rsplit_once(", expected ")
    {
        return format!(
            "{} should be {}",
            found_in_words(found),
            wanted_in_words(wanted)
        );
    }
    if let Some(rest) = message.strip_prefix("unknown variant `")
        && let Some((found, known)) = rest.split_once("`, expected ")
    {
        let known = known.trim_start_matches("one of ").replace('`', "");
        let known = known.replace(" or ", ", ");
        return format!("{found:?} is not known; there are: {known}");
    }
    match message {
        "invalid IPv4 address syntax" => "should be an IPv4 address, as 10.0.0.7".to_owned(),
        "invalid IP address syntax" => "should be an IP address, as 10.0.0.7".to_owned(),
        other => other.to_owned(),
    }
}

/// That there is no such key, with those that there are, and the one that was meant where it is near.
pub(crate) fn no_such_key(name: &str, known: &str) -> String {
    let meant = meant(name, known.split(", "));
    format!("there is no such key{meant}; there are: {known}")
}

fn strip<'a>(text: &'a str, prefixes: &[&str]) -> Option<&'a str> {
    prefixes.iter().find_map(|prefix| text.strip_prefix(prefix))
}

/// `integer `7`` is 7, `string "x"` is "x", `map` is a table.
fn found_in_words(found: &str) -> String {
    if let Some((kind, value)) = found.split_once(' ')
        && ["integer", "floating", "boolean", "string"].contains(&kind)
    {
        return value.trim_start_matches("point ").replace('`', "");
    }
    match found {
        "map" => "a table",
        "sequence" => "a list",
        "null" | "unit" | "unit value" => "nothing",
        other => other,
    }
    .to_owned()
}

fn wanted_in_words(wanted: &str) -> String {
    match wanted {
        "a string" | "a borrowed string" => "a text",
        "a boolean" => "true or false",
        "u8" => "a number of 0 to 255",
        "u16" => "a number of 0 to 65535",
        "u32" | "u64" | "usize" => "a whole number",
        "i8" | "i16" | "i32" | "i64" => "a number",
        "a sequence" => "a list",
        "a map" => "a table",
        other if other.starts_with("struct ") => "a table",
        other => other,
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_reader_says_is_said_in_words_of_the_file() {
        for (message, wants) in [
            (
                "invalid type: integer `7`, expected a string",
                "7 should be a text",
            ),
            (
                "invalid type: string \"a, expected u8\", expected u32",
                "\"a, expected u8\" should be a whole number",
            ),
            (
                "invalid value: integer `-1`, expected u16",
                "-1 should be a number of 0 to 65535",
            ),
            (
                "invalid type: floating point `1.5`, expected u8",
                "1.5 should be a number of 0 to 255",
            ),
            (
                "invalid type: map, expected a sequence",
                "a table should be a list",
            ),
            (
                "invalid type: sequence, expected struct Network",
                "a list should be a table",
            ),
            (
                "unknown variant `x`, expected `kexec` or `reboot`",
                "\"x\" is not known; there are: kexec, reboot",
            ),
            (
                "unknown variant `x`, expected one of `a`, `b`, `c`",
                "\"x\" is not known; there are: a, b, c",
            ),
            ("a UUID is 32 digits", "a UUID is 32 digits"),
        ] {
            assert_eq!(plain(message), wants);
        }
    }

    #[test]
    fn a_key_that_was_meant_is_named() {
        let known = "rack, unit, height, bay, power, port";
        for (name, meant) in [
            ("heigth", "height"),
            ("units", "unit"),
            ("pwoer", "power"),
            ("Rack", "rack"),
        ] {
            let said = no_such_key(name, known);
            assert!(
                said.contains(&format!("(is {meant} meant?); there are: rack")),
                "{said}"
            );
        }
        for name in ["colour", "x", "", "hostname", "mac", "uuid"] {
            assert_eq!(
                no_such_key(name, known),
                format!("there is no such key; there are: {known}")
            );
        }
    }
}
