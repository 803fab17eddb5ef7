// SPDX-License-Identifier: Apache-2.0
//! `groundstate watch`: the site on a screen that follows it. It only looks. `model` is what is shown, `draw` how, `keys` what
//! keys do to it, `feed` where the news come from; here they meet a terminal.

mod draw;
mod feed;
mod keys;
mod model;
#[cfg(test)]
mod tests;
mod theme;

use crate::client::time::now;
use crate::client::{Client, Connect};
use crate::exit::End;
use crate::refusal::{FAILED, Failed};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use crossterm::event::{self, Event as Input};
use feed::Looks;
use keys::{After, press};
use model::{News, State};
use ratatui::DefaultTerminal;
use std::io::IsTerminal as _;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};
use theme::Theme;
use tokio::signal::unix::{SignalKind, signal};

/// Times on the screen go on this often by themselves.
const TICK: Duration = Duration::from_secs(1);
/// The screen is drawn at most this often, however much is told.
const FRAME: Duration = Duration::from_millis(50);

#[derive(Args)]
#[command(
    after_help = "Keys: arrows choose, Enter shows a node alone, / finds, f filters by phase, ? tells all keys, q ends.

Colours: NO_COLOR switches them off."
)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    connect: Connect,
}

/// What the screen's loop is told.
#[derive(Debug)]
enum Told {
    News(News),
    Input(Input),
    /// A signal, or a thread that broke.
    Out,
}

pub(crate) fn run(args: &WatchArgs) -> Result<End> {
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        bail!(
            "watch needs a terminal; `groundstate fleet` and `groundstate node list` print the same once"
        );
    }
    if let Ok((columns, rows)) = crossterm::terminal::size()
        && (columns == 0 || rows == 0)
    {
        // A serial console knows no size, and nothing would be seen.
        return Err(Failed::new(
            FAILED,
            "this terminal does not say how large it is",
            "stty rows 24 cols 80, and again; `groundstate fleet` and `groundstate node list` print the same once",
        )
        .into());
    }
    let client = Client::new(&args.connect)?;
    let first = feed::first(&client)?;
    let mut state = State::new(now());
    let after = first.fleet.newest;
    state.take(News::Nodes(first.nodes));
    state.take(News::Fleet(Box::new(first.fleet)));
    let (told, hears) = mpsc::channel();
    let (looks, looked) = mpsc::channel();
    feed::start(&args.connect, after, &told, looked)?;
    watch_signals(told.clone())?;
    // From here on the terminal is ours; a panic gives it back too.
    let mut terminal = ratatui::try_init().context("the terminal")?;
    let keys = std::thread::Builder::new()
        .name("keys".into())
        .spawn(move || read_keys(&told));
    let done = keys
        .map_err(anyhow::Error::from)
        .and_then(|_reads| turn(&mut terminal, &mut state, &hears, &looks));
    ratatui::restore();
    done.map(|()| End::Done)
}

/// Takes what is told and draws, until somebody goes.
fn turn(
    terminal: &mut DefaultTerminal,
    state: &mut State,
    hears: &Receiver<Told>,
    looks: &Sender<Looks>,
) -> Result<()> {
    let theme = Theme::of_environment();
    let mut looked = None;
    loop {
        state.now = now();
        terminal.draw(|frame| draw::draw(frame, state, theme))?;
        let at = Looks {
            chosen: state.chosen_row().map(|row| row.view.node.clone()),
            running: state.running_on_screen(),
        };
        if looked.as_ref() != Some(&at) {
            looks.send(at.clone())?;
            looked = Some(at);
        }
        let drawn = Instant::now();
        let mut next = hears.recv_timeout(TICK);
        loop {
            match next {
                Ok(Told::Out) => return Ok(()),
                Ok(Told::News(news)) => {
                    state.now = now();
                    state.take(news);
                }
                Ok(Told::Input(Input::Key(key))) if press(state, key) == After::Out => {
                    return Ok(());
                }
                // Another size is drawn by being drawn.
                Ok(Told::Input(_)) => break,
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            let left = FRAME.saturating_sub(drawn.elapsed());
            if left.is_zero() {
                break;
            }
            next = hears.recv_timeout(left);
        }
    }
}

fn read_keys(told: &Sender<Told>) {
    while let Ok(input) = event::read() {
        if told.send(Told::Input(input)).is_err() {
            return;
        }
    }
    let _nobody = told.send(Told::Out);
}

/// A signal that would end the process ends the screen first, so that the terminal is as it was.
fn watch_signals(told: Sender<Told>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut signals = {
        let _inside = runtime.enter();
        [
            SignalKind::terminate(),
            SignalKind::interrupt(),
            SignalKind::hangup(),
        ]
        .map(signal)
    };
    for signal in &mut signals {
        if let Err(error) = signal {
            bail!("signals cannot be waited for: {error}");
        }
    }
    let wait = move || {
        let mut signals = signals.into_iter().flatten();
        let (Some(mut a), Some(mut b), Some(mut c)) =
            (signals.next(), signals.next(), signals.next())
        else {
            return;
        };
        runtime.block_on(async {
            tokio::select! {
                _ = a.recv() => {}
                _ = b.recv() => {}
                _ = c.recv() => {}
            }
        });
        let _nobody = told.send(Told::Out);
    };
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(wait)?;
    Ok(())
}
