//! The terminal: raw keys and a screen of its own, both given back however the view ends.

use std::io::{Stdout, Write, stdout};

use anyhow::Result;
use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::style::{Attribute, Color, Print, ResetColor, SetAttribute, SetForegroundColor};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode, size,
};
use crossterm::{execute, queue};

use super::sections::{Line, Tone};
use crate::command::plot::Canvas;

/// Size where the terminal does not tell.
const USUAL_SIZE: (u16, u16) = (100, 30);

/// The screen, taken.
pub(super) struct Screen {
    out: Stdout,
    has_colour: bool,
}

impl Screen {
    pub(super) fn take() -> Result<Self> {
        // <https://no-color.org>: set and not empty.
        let has_colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        enable_raw_mode()?;
        let mut screen = Self { out: stdout(), has_colour };
        execute!(screen.out, EnterAlternateScreen, Hide)?;
        Ok(screen)
    }

    /// What fits: the canvas, whose width may be smaller than usual ones here, and lines.
    pub(super) fn size(&self) -> (Canvas, usize) {
        let (columns, rows) = size().unwrap_or(USUAL_SIZE);
        (Canvas { width: usize::from(columns), ..Canvas::of_stdout() }, usize::from(rows))
    }

    /// Draws a whole frame in one write; what was there before is overwritten and not cleared first, so nothing flickers.
    pub(super) fn draw(&mut self, lines: &[Line]) -> Result<()> {
        queue!(self.out, BeginSynchronizedUpdate)?;
        for (row, line) in lines.iter().enumerate() {
            queue!(self.out, MoveTo(0, row as u16))?;
            match line.tone {
                Tone::Head => queue!(self.out, SetAttribute(Attribute::Reverse))?,
                Tone::Title => queue!(self.out, SetAttribute(Attribute::Bold))?,
                Tone::Plain => {}
                tone if self.has_colour => queue!(self.out, SetForegroundColor(colour(tone)))?,
                _ => {}
            }
            queue!(
                self.out,
                Print(&line.text),
                ResetColor,
                SetAttribute(Attribute::Reset),
                Clear(ClearType::UntilNewLine)
            )?;
        }
        queue!(self.out, Clear(ClearType::FromCursorDown), EndSynchronizedUpdate)?;
        self.out.flush()?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // There is nobody left to tell of a failure.
        let _left = execute!(self.out, Show, LeaveAlternateScreen);
        let _cooked = disable_raw_mode();
    }
}

fn colour(tone: Tone) -> Color {
    match tone {
        Tone::Good => Color::Green,
        Tone::Warn => Color::Yellow,
        Tone::Bad => Color::Red,
        Tone::Head | Tone::Title | Tone::Plain | Tone::Quiet => Color::DarkGrey,
    }
}
