// SPDX-License-Identifier: Apache-2.0
//! What is in a WIM file: its XML, as `wimlib-imagex info --extract-xml` gives it (Microsoft, "Windows Imaging File
//! Format"). Only the few fields that are needed are looked for; the rest may be anything.

use crate::roots::{RootsError, Tool, run};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// The longest XML that is read, in bytes; that of an install image with eleven editions has 30 KiB.
const XML_MAX: u64 = 4 << 20;
/// The most images; install images have up to twenty.
const IMAGES_MAX: usize = 256;
/// The longest name that is shown, in characters.
const NAME_MAX: usize = 100;

/// An image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct WimImage {
    pub(super) number: u32,
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) files: u64,
    pub(super) folders: u64,
    /// Windows' version: `10.0.20348`; empty where it is no Windows.
    pub(super) version: String,
    /// What it is for: `x86_64`, `aarch64`.
    pub(super) machine: &'static str,
}

impl WimImage {
    /// For people: name, version, machine.
    pub(super) fn title(&self) -> String {
        let mut title = if self.name.is_empty() {
            "without a name".to_string()
        } else {
            self.name.clone()
        };
        if self.version.is_empty() {
            title.push_str(", no Windows");
        } else {
            title.push_str(&format!(", Windows {}", self.version));
        }
        if !self.machine.is_empty() {
            title.push_str(&format!(" for {}", self.machine));
        }
        title
    }
}

/// Asks the tool what is in the file; its XML goes through `folder`.
pub(super) fn read(tool: Tool, path: &Path, folder: &Path) -> Result<Vec<WimImage>, RootsError> {
    let refused = |why: String| RootsError::Wim {
        path: path.to_path_buf(),
        why,
    };
    let xml = folder.join("wim.xml");
    let mut command = tool.command();
    command.arg("info").arg(path);
    command.arg(format!("--extract-xml={}", xml.display()));
    run(tool, &mut command).map_err(|error| match error {
        RootsError::Tool { said, .. } => refused(said),
        other => other,
    })?;
    let mut bytes = Vec::new();
    File::open(&xml)
        .and_then(|file| file.take(XML_MAX).read_to_end(&mut bytes))
        .map_err(RootsError::file("read", &xml))?;
    std::fs::remove_file(&xml).map_err(RootsError::file("removed", &xml))?;
    let found = images(&utf16(&bytes));
    if found.is_empty() {
        return Err(refused("it holds no image".into()));
    }
    Ok(found)
}

/// The images that the XML names.
fn images(xml: &str) -> Vec<WimImage> {
    let mut found = Vec::new();
    for part in xml.split("<IMAGE ").skip(1).take(IMAGES_MAX) {
        let image = part.split("</IMAGE>").next().unwrap_or_default();
        let number = image
            .split("INDEX=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next())
            .and_then(|number| number.parse().ok());
        let Some(number) = number else {
            continue;
        };
        let windows = text(image, "WINDOWS").unwrap_or_default();
        let version = text(windows, "VERSION").unwrap_or_default();
        let numbers = ["MAJOR", "MINOR", "BUILD"].map(|key| count(version, key));
        let is_windows = numbers.iter().any(|number| *number != 0);
        // The description of processors as SYSTEM_INFO has them.
        let machine = match text(windows, "ARCH") {
            Some("0") => "i386",
            Some("9") => "x86_64",
            Some("12") => "aarch64",
            Some(_) | None => "",
        };
        found.push(WimImage {
            number,
            name: shown(text(image, "DISPLAYNAME").or_else(|| text(image, "NAME"))),
            bytes: count(image, "TOTALBYTES"),
            files: count(image, "FILECOUNT"),
            folders: count(image, "DIRCOUNT"),
            version: if is_windows {
                numbers.map(|number| number.to_string()).join(".")
            } else {
                String::new()
            },
            machine,
        });
    }
    found
}

/// The image that is wanted, or the only one.
pub(super) fn choose(images: &[WimImage], wanted: Option<u32>) -> Result<&WimImage, RootsError> {
    let count = images.len();
    match (wanted, images) {
        (None, [only]) => Ok(only),
        (None, [_, ..]) => Err(RootsError::WimSeveral {
            count,
            names: images
                .iter()
                .map(|image| format!("{}: {}", image.number, image.title()))
                .collect::<Vec<_>>()
                .join("; "),
        }),
        (wanted, _) => {
            let wanted = wanted.unwrap_or(1);
            let found = images.iter().find(|image| image.number == wanted);
            found.ok_or(RootsError::WimNone { wanted, count })
        }
    }
}

fn text<'a>(xml: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{key}>"))?;
    let (value, _) = rest.split_once(&format!("</{key}>"))?;
    Some(value)
}

fn count(xml: &str, key: &str) -> u64 {
    text(xml, key)
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0)
}

fn shown(text: Option<&str>) -> String {
    let plain = text
        .unwrap_or_default()
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&");
    plain
        .chars()
        .take(NAME_MAX)
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

fn utf16(bytes: &[u8]) -> String {
    let units = bytes
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let text: String = char::decode_utf16(units)
        .map(|unit| unit.unwrap_or('?'))
        .collect();
    text.trim_start_matches('\u{feff}').to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_told_apart_and_chosen() {
        let xml = "<WIM><IMAGE INDEX=\"1\"><NAME>A &amp; B</NAME><TOTALBYTES>10</TOTALBYTES><WINDOWS><ARCH>9</ARCH>\
                   <VERSION><MAJOR>10</MAJOR><MINOR>0</MINOR><BUILD>20348</BUILD></VERSION></WINDOWS></IMAGE>\
                   <IMAGE INDEX=\"2\"><FILECOUNT>x</FILECOUNT></IMAGE><IMAGE INDEX=\"x\"></IMAGE></WIM>";
        let all = images(xml);
        let titles: Vec<String> = all.iter().map(WimImage::title).collect();
        assert_eq!(
            titles,
            [
                "A & B, Windows 10.0.20348 for x86_64",
                "without a name, no Windows"
            ]
        );
        assert_eq!((all[0].bytes, all[1].files), (10, 0));
        assert!(matches!(
            choose(&all, None),
            Err(RootsError::WimSeveral { count: 2, .. })
        ));
        assert!(matches!(
            choose(&all, Some(3)),
            Err(RootsError::WimNone { wanted: 3, .. })
        ));
        assert_eq!(choose(&all[..1], None).unwrap().number, 1);
        assert!(choose(&[], None).is_err());
        let units: Vec<u8> = "\u{feff}<WIM>"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(utf16(&units), "<WIM>");
    }
}
