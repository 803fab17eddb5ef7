// SPDX-License-Identifier: Apache-2.0
//! Makes a unified kernel image: appends sections to systemd's UEFI stub (UAPI group specification 5; PE format of
//! Microsoft's "PE Format", PE32+).
//!
//! It writes headers and copies bytes; it refuses to sign, to compress and to guess: a stub that has no room for the
//! headers, or that is signed already (its signature would become wrong), is an error. A stub's table of symbols is left
//! out: it lies in no section, and a signature would cover none of it (Authenticode hashes headers, sections, and what lies
//! behind the last one).

use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Added sections begin at multiples of this in memory, in bytes: a page, so that no two of them share one.
const PAGE: u32 = 4_096;
const SECTION_HEADER: usize = 40;
const MACHINE_X64: u16 = 0x8664;
const MAGIC_PE32_PLUS: u16 = 0x020b;
/// Initialised data, readable.
const CHARACTERISTICS: u32 = 0x4000_0040;
/// A symbol of COFF, in bytes; a table of strings follows the symbols, and begins with its own length.
const SYMBOL: usize = 18;
/// "The symbols are removed", a characteristic of the file.
const SYMBOLS_STRIPPED: u16 = 0x0008;
/// Index of the certificate table among the data directories.
const CERTIFICATES: usize = 4;

/// A section to append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section<'a> {
    /// Its name, at most 8 bytes, for example `.linux`.
    pub name: &'a str,
    /// What it holds.
    pub bytes: &'a [u8],
}

/// Why no image could be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UkiError {
    /// The stub ends before something that its headers promise.
    #[error("the EFI stub ends before its {what} (byte {at})")]
    Truncated {
        /// What was looked for.
        what: &'static str,
        /// Where.
        at: usize,
    },
    /// The stub is not a PE32+ file for x86-64.
    #[error("the EFI stub is not an x86-64 PE32+ file: {what}")]
    NotX64Pe {
        /// What is wrong.
        what: &'static str,
    },
    /// The stub carries a signature, which adding sections would break.
    #[error("the EFI stub is signed; give the unsigned one")]
    Signed,
    /// Behind the sections lies what is no table of symbols.
    #[error(
        "the EFI stub has {bytes} bytes behind its sections that are no table of symbols; a signature would not cover them"
    )]
    Behind {
        /// How many.
        bytes: usize,
    },
    /// There is no room for the section headers.
    #[error("the EFI stub has room for {room} more section headers; {wanted} are wanted")]
    NoHeaderRoom {
        /// Room.
        room: usize,
        /// Wanted.
        wanted: usize,
    },
    /// A section's name is empty, longer than 8 bytes, or there already.
    #[error(
        "{name:?} cannot be added as a section: it is longer than 8 bytes, empty, or there already"
    )]
    SectionName {
        /// The name.
        name: String,
    },
    /// The image would not fit 32-bit offsets.
    #[error("the image would be 4 GiB or larger")]
    TooLarge,
}

/// The image: `stub` with `sections` appended in the given order. The kernel should be last.
///
/// # Errors
/// A stub that is not an unsigned x86-64 PE32+ file with header room, a bad section name, or too many bytes.
pub fn assemble(stub: &[u8], sections: &[Section<'_>]) -> Result<Vec<u8>, UkiError> {
    let headers = Headers::read(stub)?;
    headers.check_room(stub, sections)?;
    let total: usize = sections.iter().map(|s| s.bytes.len() + PAGE as usize).sum();
    let mut out = Vec::with_capacity(stub.len() + total);
    out.extend_from_slice(headers.without_symbols(stub)?);
    let mut address = headers.end_in_memory;
    let mut header_at = headers.section_table + headers.sections.len() * SECTION_HEADER;
    let mut data = headers.initialised_data;
    for section in sections {
        let length = small(section.bytes.len())?;
        let raw = length
            .checked_next_multiple_of(headers.file_alignment)
            .ok_or(UkiError::TooLarge)?;
        pad(&mut out, headers.file_alignment)?;
        let offset = small(out.len())?;
        address = address
            .checked_next_multiple_of(headers.section_alignment.max(PAGE))
            .ok_or(UkiError::TooLarge)?;
        let mut name = [0u8; 8];
        for (to, from) in name.iter_mut().zip(section.name.bytes()) {
            *to = from;
        }
        put(&mut out, header_at, &name)?;
        for (index, field) in [length, address, raw, offset, 0, 0, 0]
            .into_iter()
            .enumerate()
        {
            put(&mut out, header_at + 8 + index * 4, &field.to_le_bytes())?;
        }
        put(&mut out, header_at + 36, &CHARACTERISTICS.to_le_bytes())?;
        header_at += SECTION_HEADER;
        out.extend_from_slice(section.bytes);
        pad(&mut out, headers.file_alignment)?;
        address = address.checked_add(length).ok_or(UkiError::TooLarge)?;
        data = data.checked_add(raw).ok_or(UkiError::TooLarge)?;
    }
    let count =
        u16::try_from(headers.sections.len() + sections.len()).map_err(|_| UkiError::TooLarge)?;
    let size = address
        .checked_next_multiple_of(headers.section_alignment)
        .ok_or(UkiError::TooLarge)?;
    put(&mut out, headers.coff + 2, &count.to_le_bytes())?;
    // No symbols, from the place 0.
    put(&mut out, headers.coff + 8, &[0; 8])?;
    let is = headers.characteristics | SYMBOLS_STRIPPED;
    put(&mut out, headers.coff + 18, &is.to_le_bytes())?;
    put(&mut out, headers.optional + 8, &data.to_le_bytes())?;
    put(&mut out, headers.optional + 56, &size.to_le_bytes())?;
    // UEFI does not look at the checksum; zero says "not computed", where the stub's would now be wrong.
    put(&mut out, headers.optional + 64, &[0; 4])?;
    Ok(out)
}

/// The name and the place in the file of each section of a PE file, in the order of its table.
///
/// # Errors
/// As for [`assemble`], as far as reading goes.
pub fn sections(image: &[u8]) -> Result<Vec<(String, core::ops::Range<usize>)>, UkiError> {
    let headers = Headers::read(image)?;
    let mut found = Vec::new();
    for (name, at) in headers.sections {
        let length =
            u32_at(image, at + 8, "section size")?.min(u32_at(image, at + 16, "section size")?);
        let offset = wide(u32_at(image, at + 20, "section offset")?);
        found.push((name, offset..offset.saturating_add(wide(length))));
    }
    Ok(found)
}

/// What the table of sections says.
struct Table {
    sections: Vec<(String, usize)>,
    end_in_memory: u32,
    end_in_file: usize,
}

impl Table {
    fn read(stub: &[u8], table: usize, count: usize) -> Result<Self, UkiError> {
        let mut sections = Vec::new();
        let (mut end_in_memory, mut end_in_file) = (0, 0);
        for index in 0..count {
            let at = table + index * SECTION_HEADER;
            let name = stub.get(at..at + 8).ok_or(UkiError::Truncated {
                what: "section headers",
                at,
            })?;
            let name = String::from_utf8_lossy(name)
                .trim_end_matches('\0')
                .to_string();
            let size = u32_at(stub, at + 8, "section size")?;
            let end = u32_at(stub, at + 12, "section address")?
                .checked_add(size)
                .ok_or(UkiError::TooLarge)?;
            end_in_memory = end.max(end_in_memory);
            let raw = wide(u32_at(stub, at + 16, "section size")?);
            let bytes_end = wide(u32_at(stub, at + 20, "section offset")?).saturating_add(raw);
            if raw != 0 {
                if bytes_end > stub.len() {
                    return Err(UkiError::Truncated {
                        what: "sections' bytes",
                        at: bytes_end,
                    });
                }
                end_in_file = bytes_end.max(end_in_file);
            }
            sections.push((name, at));
        }
        Ok(Self {
            sections,
            end_in_memory,
            end_in_file,
        })
    }
}

struct Headers {
    coff: usize,
    optional: usize,
    section_table: usize,
    /// Name, and where the header stands.
    sections: Vec<(String, usize)>,
    section_alignment: u32,
    file_alignment: u32,
    initialised_data: u32,
    size_of_headers: u32,
    characteristics: u16,
    end_in_memory: u32,
    /// The end of the last section's bytes.
    end_in_file: usize,
}

impl Headers {
    fn read(stub: &[u8]) -> Result<Self, UkiError> {
        let not = |what| Err(UkiError::NotX64Pe { what });
        if stub.get(..2) != Some(b"MZ") {
            return not("it does not begin with MZ");
        }
        let pe = wide(u32_at(stub, 0x3c, "PE offset")?);
        if stub.get(pe..pe.saturating_add(4)) != Some(b"PE\0\0") {
            return not("there is no PE signature");
        }
        let coff = pe + 4;
        let optional = coff + 20;
        if u16_at(stub, coff, "machine")? != MACHINE_X64 {
            return not("it is for another machine");
        }
        if u16_at(stub, optional, "optional header")? != MAGIC_PE32_PLUS {
            return not("it is not PE32+");
        }
        let section_table =
            optional + usize::from(u16_at(stub, coff + 16, "optional header size")?);
        let directories = wide(u32_at(stub, optional + 108, "data directory count")?);
        if directories > CERTIFICATES
            && u32_at(stub, optional + 112 + CERTIFICATES * 8 + 4, "certificates")? != 0
        {
            return Err(UkiError::Signed);
        }
        let count = usize::from(u16_at(stub, coff + 2, "section count")?);
        let table = Table::read(stub, section_table, count)?;
        let alignment = |at, what| match u32_at(stub, at, what) {
            Ok(value) if value.is_power_of_two() && value <= 1 << 20 => Ok(value),
            Ok(_) => Err(UkiError::NotX64Pe {
                what: "an alignment is not a power of two up to 1 MiB",
            }),
            Err(error) => Err(error),
        };
        Ok(Self {
            coff,
            optional,
            section_table,
            sections: table.sections,
            section_alignment: alignment(optional + 32, "section alignment")?,
            file_alignment: alignment(optional + 36, "file alignment")?,
            initialised_data: u32_at(stub, optional + 8, "data size")?,
            size_of_headers: u32_at(stub, optional + 60, "header size")?,
            characteristics: u16_at(stub, coff + 18, "characteristics")?,
            end_in_memory: table.end_in_memory,
            end_in_file: table.end_in_file,
        })
    }

    /// The stub to the end of its sections. What may lie behind them is the table of symbols, or padding.
    fn without_symbols<'s>(&self, stub: &'s [u8]) -> Result<&'s [u8], UkiError> {
        let (kept, behind) = stub
            .split_at_checked(self.end_in_file)
            .unwrap_or((stub, &[]));
        let padding = behind.len() < wide(self.file_alignment) && behind.iter().all(|b| *b == 0);
        if padding || self.symbols(stub) == Some(self.end_in_file..stub.len()) {
            Ok(kept)
        } else {
            let bytes = behind.len();
            Err(UkiError::Behind { bytes })
        }
    }

    /// Where the symbols and their strings lie.
    fn symbols(&self, stub: &[u8]) -> Option<core::ops::Range<usize>> {
        let first = wide(u32_at(stub, self.coff + 8, "symbols").ok()?);
        let count = wide(u32_at(stub, self.coff + 12, "symbols").ok()?);
        let strings = first.checked_add(count.checked_mul(SYMBOL)?)?;
        let length = wide(u32_at(stub, strings, "strings").ok()?);
        Some(first..strings.checked_add(length)?)
    }

    /// New headers must end before `SizeOfHeaders` and before the first section's bytes.
    fn check_room(&self, stub: &[u8], sections: &[Section<'_>]) -> Result<(), UkiError> {
        let mut end = wide(self.size_of_headers);
        for (_, at) in &self.sections {
            if u32_at(stub, at + 16, "section size")? != 0 {
                end = end.min(wide(u32_at(stub, at + 20, "section offset")?));
            }
        }
        let used = self.section_table + self.sections.len() * SECTION_HEADER;
        let room = end.saturating_sub(used) / SECTION_HEADER;
        if room < sections.len() {
            return Err(UkiError::NoHeaderRoom {
                room,
                wanted: sections.len(),
            });
        }
        for (index, section) in sections.iter().enumerate() {
            let there = self.sections.iter().any(|(name, _)| name == section.name)
                || sections.iter().take(index).any(|s| s.name == section.name);
            if there || section.name.is_empty() || section.name.len() > 8 {
                return Err(UkiError::SectionName {
                    name: section.name.to_string(),
                });
            }
        }
        Ok(())
    }
}

fn u16_at(bytes: &[u8], at: usize, what: &'static str) -> Result<u16, UkiError> {
    let slice = at.checked_add(2).and_then(|end| bytes.get(at..end));
    let two = slice
        .and_then(|s| s.try_into().ok())
        .ok_or(UkiError::Truncated { what, at })?;
    Ok(u16::from_le_bytes(two))
}

fn u32_at(bytes: &[u8], at: usize, what: &'static str) -> Result<u32, UkiError> {
    let slice = at.checked_add(4).and_then(|end| bytes.get(at..end));
    let four = slice
        .and_then(|s| s.try_into().ok())
        .ok_or(UkiError::Truncated { what, at })?;
    Ok(u32::from_le_bytes(four))
}

fn put(out: &mut [u8], at: usize, bytes: &[u8]) -> Result<(), UkiError> {
    out.get_mut(at..at + bytes.len())
        .ok_or(UkiError::Truncated {
            what: "headers",
            at,
        })?
        .copy_from_slice(bytes);
    Ok(())
}

fn pad(out: &mut Vec<u8>, alignment: u32) -> Result<(), UkiError> {
    let length = small(out.len())?
        .checked_next_multiple_of(alignment)
        .ok_or(UkiError::TooLarge)?;
    out.resize(wide(length), 0);
    Ok(())
}

fn small(length: usize) -> Result<u32, UkiError> {
    u32::try_from(length).map_err(|_| UkiError::TooLarge)
}

/// Lossless: this project runs on 64-bit machines only, and saturating would be caught as truncation.
fn wide(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const STUB: &str = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";

    fn stub() -> Option<Vec<u8>> {
        match std::fs::read(STUB) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                assert!(
                    std::env::var_os("CI").is_none(),
                    "{STUB}: {error} (package systemd-boot-efi)"
                );
                eprintln!("skipped: {STUB}: {error}");
                None
            }
        }
    }

    fn another() -> [Section<'static>; 1] {
        [Section {
            name: ".another",
            bytes: b"y",
        }]
    }

    fn check_errors(stub: &[u8]) {
        let one = [Section {
            name: ".linux",
            bytes: b"x",
        }];
        for length in [0, 1, 63, 64, 200, 400, 700] {
            assert!(
                assemble(stub.get(..length).unwrap(), &one).is_err(),
                "{length} bytes"
            );
        }
        let twice = [one[0], one[0]];
        assert!(matches!(
            assemble(stub, &twice),
            Err(UkiError::SectionName { .. })
        ));
        let there = [Section {
            name: ".text",
            bytes: b"x",
        }];
        assert!(matches!(
            assemble(stub, &there),
            Err(UkiError::SectionName { .. })
        ));
        let long = [Section {
            name: ".toolong0",
            bytes: b"x",
        }];
        assert!(matches!(
            assemble(stub, &long),
            Err(UkiError::SectionName { .. })
        ));
        let names: Vec<String> = (0..30).map(|n| alloc::format!(".s{n}")).collect();
        let many: Vec<Section<'_>> = names
            .iter()
            .map(|name| Section { name, bytes: b"x" })
            .collect();
        assert!(matches!(
            assemble(stub, &many),
            Err(UkiError::NoHeaderRoom { wanted: 30, .. })
        ));
        let mut signed = stub.to_vec();
        let pe = wide(u32_at(stub, 0x3c, "pe").unwrap());
        signed[pe + 24 + 112 + 36] = 8;
        assert_eq!(assemble(&signed, &one), Err(UkiError::Signed));
        // What lies behind the sections and is no table of symbols; padding is nothing.
        let image = assemble(stub, &one).unwrap();
        assert_eq!(
            assemble(&[&image[..], b"more"].concat(), &another()),
            Err(UkiError::Behind { bytes: 4 })
        );
        let padded = [&image[..], &[0; 8]].concat();
        assert_eq!(assemble(&padded, &another()), assemble(&image, &another()));
    }

    #[test]
    fn binutils_reads_what_was_assembled() {
        let Some(stub) = stub() else { return };
        check_errors(&stub);
        let kernel = vec![0xa5; 70_001];
        let parts = [
            Section {
                name: ".osrel",
                bytes: b"ID=groundstate\n",
            },
            Section {
                name: ".cmdline",
                bytes: b"console=ttyS0",
            },
            Section {
                name: ".initrd",
                bytes: &[7; 513],
            },
            Section {
                name: ".linux",
                bytes: &kernel,
            },
        ];
        let image = assemble(&stub, &parts).unwrap();
        assert_eq!(
            image,
            assemble(&stub, &parts).unwrap(),
            "same parts, same bytes"
        );
        // Section lies behind section, and nothing lies between or behind them.
        let mut end = None;
        for (_, at) in Headers::read(&image).unwrap().sections {
            let raw = wide(u32_at(&image, at + 16, "size").unwrap());
            let offset = wide(u32_at(&image, at + 20, "offset").unwrap());
            assert_eq!(end.unwrap_or(offset), offset);
            end = Some(offset + raw);
        }
        assert_eq!(end, Some(image.len()));
        for (name, place) in sections(&image).unwrap() {
            if let Some(part) = parts.iter().find(|p| p.name == name) {
                assert_eq!(image.get(place), Some(part.bytes), "{name}");
            }
        }
        let path = std::env::temp_dir().join(std::format!("uki-{}.efi", std::process::id()));
        std::fs::write(&path, &image).unwrap();
        for part in parts {
            let out = path.with_extension("section");
            let status = Command::new("objcopy")
                .arg("-O")
                .arg("binary")
                .arg(std::format!("--only-section={}", part.name))
                .arg(&path)
                .arg(&out)
                .status()
                .expect("objcopy runs (package binutils)");
            assert!(status.success());
            // objcopy gives the section with its padding to the file alignment.
            let got = std::fs::read(&out).unwrap();
            assert_eq!(
                got.get(..part.bytes.len()),
                Some(part.bytes),
                "{}",
                part.name
            );
            assert!(
                got.iter().skip(part.bytes.len()).all(|b| *b == 0),
                "{}",
                part.name
            );
            std::fs::remove_file(&out).unwrap();
        }
        std::fs::remove_file(&path).unwrap();
    }

    proptest::proptest! {
        #[test]
        fn no_stub_breaks_the_assembler(mut bytes in proptest::collection::vec(0u8.., 0..600), pe in 0u8..200) {
            if bytes.len() > 300 {
                bytes[..2].copy_from_slice(b"MZ");
                bytes[0x3c..0x40].copy_from_slice(&[pe, 0, 0, 0]);
                let at = usize::from(pe);
                bytes[at..at + 6].copy_from_slice(b"PE\0\0\x64\x86");
                bytes[at + 24..at + 26].copy_from_slice(&[0x0b, 0x02]);
            }
            let _ = assemble(&bytes, &[Section { name: ".linux", bytes: b"x" }]);
            let _ = sections(&bytes);
        }
    }
}
