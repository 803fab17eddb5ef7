// SPDX-License-Identifier: Apache-2.0
//! Which of several kernel releases is the newest.

/// The newest of the releases: their numbers are compared as numbers, so that 6.10 is newer than 6.9.
pub(crate) fn newest<'a>(releases: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    releases.max_by(|one, other| {
        numbers(one)
            .cmp(&numbers(other))
            .then_with(|| one.cmp(other))
    })
}

fn numbers(release: &str) -> Vec<u64> {
    release
        .split(|c: char| !c.is_ascii_digit())
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().unwrap_or(u64::MAX))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_as_numbers() {
        let all = ["6.9.0-1", "6.10.0-2", "6.1.0-44-amd64", "rescue"];
        assert_eq!(newest(all.into_iter()), Some("6.10.0-2"));
        assert_eq!(newest(std::iter::empty()), None);
    }
}
