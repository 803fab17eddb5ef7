// SPDX-License-Identifier: Apache-2.0
//! The one liberty that TFTP takes with a name: Windows' boot manager asks for `\Boot\BCD`.
//!
//! It refuses to do more. A name is looked up as it was sent first, and as this writes it second; neither is joined to a
//! folder, `..` means nothing, and `%2f` is three letters.

use alloc::string::String;

/// The name with slashes where it has backslashes; `None` where it has none.
#[must_use]
pub fn with_slashes(name: &str) -> Option<String> {
    name.contains('\\').then(|| name.replace('\\', "/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backslashes_become_slashes_and_nothing_else_changes() {
        assert_eq!(with_slashes("\\Boot\\BCD").as_deref(), Some("/Boot/BCD"));
        assert_eq!(with_slashes("..\\x").as_deref(), Some("../x"));
        for name in ["snponly.efi", "/../etc/passwd", "..%5cetc", ""] {
            assert_eq!(with_slashes(name), None);
        }
    }
}
