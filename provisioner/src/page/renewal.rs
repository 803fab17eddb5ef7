// SPDX-License-Identifier: Apache-2.0
//! Whether a page without scripts renews itself. Who reads it slowly, types into it or goes through it by keyboard lets it stand
//! still: each renewal begins it anew.

use axum::http::Uri;

/// The part of the query that says so.
const STILL: &str = "still=1";

/// How a page is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Renewal {
    /// It stands still.
    pub(super) still: bool,
    /// The address of the same page the other way.
    pub(super) other: String,
}

impl Renewal {
    pub(super) fn of(uri: &Uri) -> Self {
        let pairs = uri.query().unwrap_or_default().split('&');
        let (still, mut query): (Vec<&str>, Vec<&str>) = pairs
            .filter(|pair| !pair.is_empty())
            .partition(|pair| *pair == STILL);
        let still = !still.is_empty();
        if !still {
            query.push(STILL);
        }
        let query = query.join("&");
        let begins = if query.is_empty() { "" } else { "?" };
        Self {
            still,
            other: format!("{}{begins}{query}", uri.path()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_way_leads_there_and_back_and_keeps_what_was_asked() {
        for (address, still, other) in [
            ("/", false, "/?still=1"),
            ("/?still=1", true, "/"),
            (
                "/nodes?q=a&after=100",
                false,
                "/nodes?q=a&after=100&still=1",
            ),
            ("/nodes?q=a&still=1&after=100", true, "/nodes?q=a&after=100"),
            ("/nodes?still=0", false, "/nodes?still=0&still=1"),
        ] {
            let renewal = Renewal::of(&address.parse().unwrap());
            let other = other.to_owned();
            assert_eq!(renewal, Renewal { still, other }, "{address}");
        }
    }
}
