// SPDX-License-Identifier: Apache-2.0
//! The iPXE script of one machine, rendered from typed fields.
//!
//! Nothing is pasted: a command-line token that iPXE or the kernel could read as something else (`${}`, quotes, a new
//! line, a comment) does not become part of a [`CommandLine`], and a URL can only be one of ours.

use crate::names::{HttpBase, INITRD, KERNEL};
pub use crate::recipe::{Recipe, RecipeError};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::boot::LocalBoot;

/// The longest kernel command line, in bytes: x86 Linux keeps 2,048 with the closing NUL, `initrd=` included.
pub const COMMAND_LINE_MAX: usize = 1_900;

/// Why a text is not a kernel command line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandLineError {
    /// A character that a boot loader or the kernel could read as more than itself.
    #[error(
        "the command-line token {token:?} has {character:?}; allowed are letters, digits and . _ , : = / @ + -"
    )]
    Character {
        /// The token.
        token: String,
        /// The first character that is not allowed.
        character: char,
    },
    /// `initrd=` is ours to give.
    #[error("the command line must not name an initrd: the boot service adds it")]
    Initrd,
    /// More than [`COMMAND_LINE_MAX`].
    #[error("the command line has {bytes} bytes; {COMMAND_LINE_MAX} is the most")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

/// A kernel command line: tokens with one space between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine(String);

impl CommandLine {
    /// Reads tokens separated by blanks; a closing new line is allowed.
    ///
    /// # Errors
    /// A token with a character beyond the allow-list, an `initrd=`, or too many bytes.
    pub fn parse(text: &str) -> Result<Self, CommandLineError> {
        let mut tokens = Vec::new();
        for token in text
            .trim_end_matches('\n')
            .split([' ', '\t'])
            .filter(|t| !t.is_empty())
        {
            if let Some(character) = token.chars().find(|c| !is_plain(*c)) {
                return Err(CommandLineError::Character {
                    token: token.to_owned(),
                    character,
                });
            }
            if token.starts_with("initrd=") {
                return Err(CommandLineError::Initrd);
            }
            tokens.push(token);
        }
        let line = tokens.join(" ");
        if line.len() > COMMAND_LINE_MAX {
            return Err(CommandLineError::TooLong { bytes: line.len() });
        }
        Ok(Self(line))
    }

    /// The line without a new line.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ',' | ':' | '=' | '/' | '@' | '+' | '-')
}

/// What the script shall do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script<'a> {
    /// Fetch kernel and initramfs of the maintenance OS by HTTP and start them.
    Boot {
        /// Where they are.
        base: HttpBase,
        /// The kernel's command line.
        command_line: &'a CommandLine,
    },
    /// Fetch the recipe's kernel and initramfs files and start them, or its program.
    Recipe {
        /// Where they are.
        base: HttpBase,
        /// What.
        recipe: &'a Recipe<'a>,
    },
    /// Leave iPXE, so that the firmware goes on to its next boot entry: the machine's own disk.
    Exit,
    /// Start a BIOS drive.
    Sanboot {
        /// Its number; 0x80 is the first disk.
        drive: u8,
    },
}

impl Script<'_> {
    /// How iPXE is sent to the machine's own disk.
    #[must_use]
    pub const fn of_local(how: LocalBoot) -> Script<'static> {
        match how {
            LocalBoot::Usual | LocalBoot::Exit | LocalBoot::NoAnswer => Script::Exit,
            LocalBoot::Sanboot { drive } => Script::Sanboot { drive },
        }
    }

    /// The script's text.
    #[must_use]
    pub fn render(&self) -> String {
        match self {
            // `initrd=` names the file for the kernel's EFI stub, which asks iPXE for it; on BIOS it has no effect.
            Self::Boot { base, command_line } => format!(
                "#!ipxe\nkernel {} initrd={INITRD} {}\ninitrd {}\nboot\n",
                base.file(KERNEL),
                command_line.as_str(),
                base.file(INITRD),
            ),
            Self::Recipe { base, recipe } => recipe.render(*base),
            Self::Exit => String::from("#!ipxe\nexit\n"),
            // A drive that does not start is left to the firmware's next boot entry.
            Self::Sanboot { drive } => {
                format!("#!ipxe\nsanboot --no-describe --drive {drive:#04x} || exit\n")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;

    #[test]
    fn a_script_is_rendered_from_fields() {
        let command_line =
            CommandLine::parse("console=tty0  console=ttyS0,115200 quiet\n").unwrap();
        let base = HttpBase {
            address: Ipv4Addr::new(10, 77, 0, 1).into(),
            port: 8080,
        };
        expect_test::expect![[r#"
            #!ipxe
            kernel http://10.77.0.1:8080/boot/vmlinuz initrd=initrd.img console=tty0 console=ttyS0,115200 quiet
            initrd http://10.77.0.1:8080/boot/initrd.img
            boot
        "#]]
        .assert_eq(&Script::Boot { base, command_line: &command_line }.render());
        assert_eq!(Script::Exit.render(), "#!ipxe\nexit\n");
    }

    #[test]
    fn what_could_be_more_than_a_token_is_refused() {
        for (text, says) in [
            ("a=${net0/mac}", "'$'"),
            ("a\nboot http://evil/", "'\\n'"),
            ("a\r", "'\\r'"),
            ("a=\"b", "'\"'"),
            ("a;b", "';'"),
            ("a|b", "'|'"),
            ("a#b", "'#'"),
            ("a=\u{e9}", "'é'"),
            ("initrd=x", "initrd"),
        ] {
            let error = CommandLine::parse(text).unwrap_err();
            assert!(
                alloc::string::ToString::to_string(&error).contains(says),
                "{text:?}: {error}"
            );
        }
        let long = "x ".repeat(COMMAND_LINE_MAX);
        assert!(matches!(
            CommandLine::parse(&long),
            Err(CommandLineError::TooLong { .. })
        ));
    }

    proptest::proptest! {
        #[test]
        fn a_script_has_four_lines_whatever_was_asked(text in "\\PC{0,60}|[ -~\n\t]{0,60}") {
            if let Ok(command_line) = CommandLine::parse(&text) {
                let base = HttpBase { address: Ipv4Addr::LOCALHOST.into(), port: 80 };
                let script = Script::Boot { base, command_line: &command_line }.render();
                proptest::prop_assert_eq!(script.lines().count(), 4);
                proptest::prop_assert!(!script.contains(['$', '"', '\'', ';', '&', '|', '\\']));
            }
        }
    }
}
