// SPDX-License-Identifier: Apache-2.0
//! What each key does to the screen. None of them orders anything.

use super::model::{Page, State};
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use groundstate_api::NodeId;
use groundstate_api::text::printable;
use std::collections::HashSet;

/// The longest text that is searched for.
const SEARCH_MAX: usize = 64;

/// Whether the screen goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    GoOn,
    Out,
}

/// Takes a key.
pub(super) fn press(state: &mut State, key: KeyEvent) -> After {
    if key.kind == KeyEventKind::Release {
        return After::GoOn;
    }
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    if control && matches!(key.code, KeyCode::Char('c' | 'd')) {
        return After::Out;
    }
    if state.typing {
        typed(state, key.code);
        return After::GoOn;
    }
    match state.page {
        Page::Help => {
            state.page = Page::Site;
            After::GoOn
        }
        Page::Node => on_node(state, key.code),
        Page::Site => on_site(state, key.code),
    }
}

fn typed(state: &mut State, key: KeyCode) {
    let mut search = state.search.clone();
    match key {
        KeyCode::Enter => state.typing = false,
        KeyCode::Esc => {
            state.typing = false;
            state.set_search(String::new());
        }
        KeyCode::Backspace => {
            search.pop();
            state.set_search(search);
        }
        KeyCode::Char(c) if printable(c) && search.len() < SEARCH_MAX => {
            search.push(c);
            state.set_search(search);
        }
        _ => {}
    }
}

fn on_node(state: &mut State, key: KeyCode) -> After {
    match key {
        KeyCode::Char('q') => return After::Out,
        KeyCode::Esc | KeyCode::Enter | KeyCode::Backspace | KeyCode::Left => {
            state.page = Page::Site
        }
        KeyCode::Down | KeyCode::Char('j') => state.scroll = state.scroll.saturating_add(1),
        KeyCode::Up | KeyCode::Char('k') => state.scroll = state.scroll.saturating_sub(1),
        KeyCode::PageDown | KeyCode::Char(' ') => state.scroll = state.scroll.saturating_add(10),
        KeyCode::PageUp => state.scroll = state.scroll.saturating_sub(10),
        KeyCode::Home | KeyCode::Char('g') => state.scroll = 0,
        KeyCode::Char('n') => needy(state),
        KeyCode::Char('?') => state.page = Page::Help,
        _ => {}
    }
    After::GoOn
}

fn on_site(state: &mut State, key: KeyCode) -> After {
    let at = state.chosen();
    let page = state.rows_on_screen.max(1);
    match key {
        KeyCode::Char('q') => return After::Out,
        KeyCode::Down | KeyCode::Char('j') => state.choose(at + 1),
        KeyCode::Up | KeyCode::Char('k') => state.choose(at.saturating_sub(1)),
        KeyCode::Left | KeyCode::Char('h') => state.choose_rack(false),
        KeyCode::Right | KeyCode::Char('l') => state.choose_rack(true),
        KeyCode::PageDown | KeyCode::Char(' ') => state.choose(at + page),
        KeyCode::PageUp => state.choose(at.saturating_sub(page)),
        KeyCode::Home | KeyCode::Char('g') => state.choose(0),
        KeyCode::End | KeyCode::Char('G') => state.choose(usize::MAX),
        KeyCode::Enter if state.shown() > 0 => {
            state.scroll = 0;
            state.page = Page::Node;
        }
        KeyCode::Char('/') => state.typing = true,
        KeyCode::Char('f') => state.filter(true),
        KeyCode::Char('F') => state.filter(false),
        KeyCode::Char('0') => state.set_filter(None),
        KeyCode::Esc => {
            state.set_filter(None);
            state.set_search(String::new());
        }
        KeyCode::Char('s') => state.sort_otherwise(),
        KeyCode::Char('n') => needy(state),
        KeyCode::Char('r') => state.show_racks = !state.show_racks,
        KeyCode::Char('?') => state.page = Page::Help,
        _ => {}
    }
    After::GoOn
}

fn needy(state: &mut State) {
    let needs = state.fleet.needs.iter();
    let names: HashSet<NodeId> = needs.map(|need| need.node.clone()).collect();
    state.choose_next(|row| names.contains(&row.view.node));
}
