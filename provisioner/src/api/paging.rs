// SPDX-License-Identifier: Apache-2.0
//! Pages of lists: `limit`, `cursor`, and a header `Link` to the next page. A cursor is the key of the last thing on a page, so
//! that things which come and go while a list is read neither hide others nor show them twice.

use super::problem::Refusal;
use axum::http::{HeaderValue, Uri};
use groundstate_api::view::Phase;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// The most things in a page.
pub(crate) const PAGE_MAX: usize = 1_000;

/// How much is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Paging {
    /// The most things; none where all are wanted.
    pub(crate) limit: Option<usize>,
    /// The key behind which the page begins.
    pub(crate) cursor: Option<String>,
}

/// `limit` and `cursor` of a query.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct PageQuery {
    pub(crate) limit: Option<u32>,
    pub(crate) cursor: Option<String>,
}

/// A phase as it is asked for: by its name of today. Its names of before are for journals alone.
///
/// # Errors
/// There is no such phase; all that there are.
pub(crate) fn phase<'de, D: Deserializer<'de>>(asked: D) -> Result<Option<Phase>, D::Error> {
    const NAMES: [&str; Phase::ALL.len()] = {
        let mut names = [""; Phase::ALL.len()];
        let mut at = 0;
        while at < names.len() {
            names[at] = Phase::ALL[at].as_str();
            at += 1;
        }
        names
    };
    let name = String::deserialize(asked)?;
    let mut all = Phase::ALL.into_iter();
    match all.find(|phase| phase.as_str() == name) {
        Some(phase) => Ok(Some(phase)),
        None => Err(D::Error::unknown_variant(&name, &NAMES)),
    }
}

impl PageQuery {
    /// Checks it.
    ///
    /// # Errors
    /// 400 where the limit is 0 or too large.
    pub(crate) fn paging(self) -> Result<Paging, Refusal> {
        let limit = self.limit.map(usize::try_from);
        let limit = limit.map(|limit| limit.unwrap_or(usize::MAX));
        if limit.is_some_and(|limit| !(1..=PAGE_MAX).contains(&limit)) {
            let what = format!("a page has 1 to {PAGE_MAX} things");
            return Err(Refusal::field("limit", what));
        }
        Ok(Paging {
            limit,
            cursor: self.cursor.filter(|cursor| !cursor.is_empty()),
        })
    }
}

/// The header `Link` to the page behind `cursor`, with the rest of the query as it was.
pub(crate) fn next_page(uri: &Uri, cursor: &str) -> Option<HeaderValue> {
    link(uri, "cursor", cursor)
}

/// The same with a cursor of another name.
pub(crate) fn link(uri: &Uri, name: &str, cursor: &str) -> Option<HeaderValue> {
    let begins = format!("{name}=");
    let others = uri.query().unwrap_or_default().split('&');
    let mut query: Vec<&str> = others
        .filter(|pair| !pair.is_empty() && !pair.starts_with(&begins))
        .collect();
    let cursor = format!("{begins}{}", escaped(cursor));
    query.push(&cursor);
    let text = format!("<{}?{}>; rel=\"next\"", uri.path(), query.join("&"));
    text.parse().ok()
}

/// As it may stand in a query.
fn escaped(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    text.bytes()
        .map(|b| match plain(b) {
            true => char::from(b).to_string(),
            false => format!("%{b:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::wrong;
    use super::*;
    use axum::extract::Query;

    #[test]
    fn the_next_page_is_asked_for_as_this_one_was() {
        let uri: Uri = "/v1/nodes?limit=2&cursor=a&phase=held".parse().unwrap();
        let link = next_page(&uri, "b 2/ü").unwrap();
        assert_eq!(
            link.to_str().unwrap(),
            "</v1/nodes?limit=2&phase=held&cursor=b%202%2F%C3%BC>; rel=\"next\""
        );
    }

    #[test]
    fn a_phase_is_asked_for_by_its_name_of_today() {
        #[derive(Debug, Deserialize)]
        struct Asked {
            #[serde(default, deserialize_with = "phase")]
            phase: Option<Phase>,
        }
        let of = |query: &'static str| {
            let uri: Uri = format!("/v1/nodes{query}").parse().unwrap();
            Query::<Asked>::try_from_uri(&uri).map(|Query(asked)| asked.phase)
        };
        assert_eq!(of("").unwrap(), None);
        for one in Phase::ALL {
            assert_eq!(
                Query::<Asked>::try_from_uri(&format!("/?phase={}", one.as_str()).parse().unwrap())
                    .unwrap()
                    .0
                    .phase,
                Some(one)
            );
        }
        for none in ["?phase=helt", "?phase=known", "?phase="] {
            let said = wrong::query(&of(none).unwrap_err()).reason.to_string();
            assert!(said.contains("enrolled, ordered, booting"), "{said}");
            assert!(!said.contains("deploying"), "{said}");
        }
    }

    #[test]
    fn a_limit_is_bounded() {
        let of = |limit| {
            PageQuery {
                limit,
                cursor: Some(String::new()),
            }
            .paging()
        };
        assert!(of(Some(0)).is_err() && of(Some(1_001)).is_err());
        let paging = of(Some(1_000)).unwrap();
        assert_eq!((paging.limit, paging.cursor), (Some(1_000), None));
        assert_eq!(of(None).unwrap().limit, None);
    }
}
