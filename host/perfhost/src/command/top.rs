//! `perfhost top`: a live view in the terminal, driven by keys. Where the output is no terminal, one frame as plain text.
//!
//! - `watch`: asks the host once a second, on a thread of its own, so that keys work while the host does not answer
//! - `frame`: lays out what was found as lines of text
//! - `sections`: the parts of a frame
//! - `terminal`: takes the screen and gives it back

mod frame;
mod sections;
mod terminal;
mod watch;

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Result;
use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};

use super::client::Client;
use super::plot::Canvas;
use super::print;
use crate::cli::{ClientFlags, Output};
use frame::{Frame, View};
use terminal::Screen;
use watch::{Reading, Watch};

/// Longest time until a key or a new reading shows.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Height of the one frame where there is no terminal.
const PRINTED_HEIGHT: usize = 60;

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Quit,
    Show(View),
    Next,
    Previous,
    Scroll(isize),
    Pause,
    Help,
    Nothing,
}

/// Shows the host that the flags name until the user leaves.
pub fn run(flags: &ClientFlags) -> Result<()> {
    let client = Client::new(flags);
    if flags.output == Output::Json || !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        let reading = Reading::take(&client)?;
        return print::print(&reading.figures, flags.output, |_| {
            let frame = Frame { reading: Some(&reading), ..Frame::new(Canvas::of_stdout(), PRINTED_HEIGHT) };
            frame.lines().into_iter().map(|line| line.text.trim_end().to_owned() + "\n").collect()
        });
    }
    // A host that is not there should be told before the screen is taken.
    let first = Reading::take(&client)?;
    let mut watch = Watch::begin(client, first);
    let mut screen = Screen::take()?;
    let (mut view, mut scroll, mut is_paused, mut shows_help) = (View::Overview, 0_usize, false, false);
    let mut is_stale = true;
    loop {
        if !is_paused {
            is_stale |= watch.look();
        }
        if is_stale {
            let (canvas, height) = screen.size();
            let frame = Frame {
                reading: Some(watch.reading()),
                trouble: watch.trouble(),
                view,
                scroll,
                is_paused,
                shows_help,
                ..Frame::new(canvas, height)
            };
            screen.draw(&frame.lines())?;
            // A list may have become shorter, and keys count no further than to its end.
            scroll = scroll.min(frame.last_scroll());
        }
        is_stale = event::poll(LOOK_EVERY)?;
        if !is_stale {
            continue;
        }
        match action(&event::read()?) {
            Action::Quit => return Ok(()),
            Action::Show(other) => (view, scroll) = (other, 0),
            Action::Next => (view, scroll) = (view.next(), 0),
            Action::Previous => (view, scroll) = (view.previous(), 0),
            Action::Scroll(by) => scroll = scroll.saturating_add_signed(by).min(frame::MOST_SCROLL),
            Action::Pause => is_paused = !is_paused,
            Action::Help => shows_help = !shows_help,
            Action::Nothing => {}
        }
    }
}

fn action(event: &Event) -> Action {
    let Event::Key(key) = event else { return Action::Nothing };
    if key.kind == KeyEventKind::Release {
        return Action::Nothing;
    }
    match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Action::Quit,
        KeyCode::Char('q') | KeyCode::Esc => Action::Quit,
        KeyCode::Char('1') => Action::Show(View::Overview),
        KeyCode::Char('2') => Action::Show(View::Providers),
        KeyCode::Char('3') => Action::Show(View::Knobs),
        KeyCode::Char('4') => Action::Show(View::Decisions),
        KeyCode::Tab | KeyCode::Right | KeyCode::Char('l') => Action::Next,
        KeyCode::BackTab | KeyCode::Left | KeyCode::Char('h') => Action::Previous,
        KeyCode::Down | KeyCode::Char('j') => Action::Scroll(1),
        KeyCode::Up | KeyCode::Char('k') => Action::Scroll(-1),
        KeyCode::PageDown => Action::Scroll(10),
        KeyCode::PageUp => Action::Scroll(-10),
        KeyCode::Home => Action::Scroll(-(frame::MOST_SCROLL as isize)),
        KeyCode::Char('p') | KeyCode::Char(' ') => Action::Pause,
        KeyCode::Char('?') => Action::Help,
        _ => Action::Nothing,
    }
}
