// SPDX-License-Identifier: Apache-2.0
//! A boot recipe that can be said in an iPXE script: every name and token is checked once, here.
//!
//! A name or token that iPXE or the kernel could read as more than itself is refused, and never changed into another.

use crate::names::{HttpBase, NAME_MAX};
use crate::script::{CommandLine, CommandLineError, Script};
use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::boot::BootRecipe;

/// The most initramfs files of one recipe: the command line names each.
pub const INITRDS_MAX: usize = 16;

/// Why a recipe cannot be said in a script.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecipeError {
    /// A name that a script cannot carry.
    #[error(
        "the boot recipe {recipe:?} names the file {name:?}; a script can name files of at most 255 letters, digits and . _ , : = / @ + -"
    )]
    Name {
        /// The recipe.
        recipe: String,
        /// The name.
        name: String,
    },
    /// Two initramfs files with one last part: the kernel could not tell them apart.
    #[error("the boot recipe {recipe:?} has two initramfs files that end in {name:?}")]
    SameName {
        /// The recipe.
        recipe: String,
        /// The last part of their names.
        name: String,
    },
    /// Too many initramfs files.
    #[error("the boot recipe {recipe:?} has {count} initramfs files; {INITRDS_MAX} is the most")]
    Initrds {
        /// The recipe.
        recipe: String,
        /// How many.
        count: usize,
    },
    /// Its command line.
    #[error("the boot recipe {recipe:?}: {source}")]
    CommandLine {
        /// The recipe.
        recipe: String,
        /// What is wrong with it.
        source: CommandLineError,
    },
    /// It names nothing to start.
    #[error("the boot recipe {recipe:?} names neither a program nor a kernel")]
    Empty {
        /// The recipe.
        recipe: String,
    },
}

/// A recipe for iPXE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe<'a>(What<'a>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum What<'a> {
    /// A program or a script of the user's own.
    Program(&'a str),
    /// A kernel with what belongs to it.
    Kernel {
        kernel: &'a str,
        initrd: Vec<&'a str>,
        command_line: CommandLine,
    },
}

impl<'a> Recipe<'a> {
    /// Checks what was written.
    ///
    /// # Errors
    /// The first name or token that a script cannot carry.
    pub fn read(recipe: &'a BootRecipe) -> Result<Self, RecipeError> {
        let named = || recipe.name.clone();
        let name = |name: &'a str| {
            if is_plain_name(name) {
                return Ok(name);
            }
            let (recipe, name) = (named(), name.to_owned());
            Err(RecipeError::Name { recipe, name })
        };
        if let Some(file) = &recipe.file {
            return Ok(Self(What::Program(name(file)?)));
        }
        let Some(kernel) = &recipe.kernel else {
            return Err(RecipeError::Empty { recipe: named() });
        };
        let count = recipe.initrd.len();
        if count > INITRDS_MAX {
            let recipe = named();
            return Err(RecipeError::Initrds { recipe, count });
        }
        let initrd = recipe.initrd.iter().map(|each| name(each));
        let initrd: Vec<&str> = initrd.collect::<Result<_, _>>()?;
        let mut ends: Vec<&str> = initrd.iter().map(|name| last_part(name)).collect();
        ends.sort_unstable();
        let twice = ends.iter().zip(ends.iter().skip(1)).find(|(a, b)| a == b);
        if let Some((end, _)) = twice {
            let (recipe, name) = (named(), (*end).to_owned());
            return Err(RecipeError::SameName { recipe, name });
        }
        let command_line = CommandLine::parse(&recipe.command_line).map_err(|source| {
            let recipe = named();
            RecipeError::CommandLine { recipe, source }
        })?;
        Ok(Self(What::Kernel {
            kernel: name(kernel)?,
            initrd,
            command_line,
        }))
    }

    /// Its script.
    #[must_use]
    pub const fn script(&'a self, base: HttpBase) -> Script<'a> {
        Script::Recipe { base, recipe: self }
    }

    pub(crate) fn render(&self, base: HttpBase) -> String {
        match &self.0 {
            What::Program(file) => format!("#!ipxe\nchain {}\n", base.file(file)),
            What::Kernel {
                kernel,
                initrd,
                command_line,
            } => {
                let mut script = format!("#!ipxe\nkernel {}", base.file(kernel));
                // The kernel's EFI stub asks iPXE for each by the last part of its name; on BIOS it has no effect.
                for name in initrd {
                    script.push_str(" initrd=");
                    script.push_str(last_part(name));
                }
                if !command_line.as_str().is_empty() {
                    script.push(' ');
                    script.push_str(command_line.as_str());
                }
                script.push('\n');
                for name in initrd {
                    script.push_str(&format!("initrd {}\n", base.file(name)));
                }
                script.push_str("boot\n");
                script
            }
        }
    }
}

fn is_plain_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._,:=/@+-".contains(c);
    let parts = name.split('/').all(|part| !part.is_empty());
    parts && name.len() <= NAME_MAX && name.chars().all(plain)
}

fn last_part(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

#[cfg(test)]
mod tests;
