//! From text to words, numbers and signs. Knows nothing of what they mean.

use super::error::Problem;

/// One piece of text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind<'a>,
    /// As written.
    pub(super) text: &'a str,
    /// Byte in the text at which it begins.
    pub(super) at: usize,
}

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind<'a> {
    /// A letter or `_`, then letters, digits, `_`, and `-` inside.
    Word,
    /// Digits, perhaps with a point, and the letters or `%` that follow at once.
    Number { number: f64, unit: &'a str },
    /// `@` with a provider, or a provider and model.
    Scope(&'a str),
    /// An operator or a separator.
    Sign(&'static str),
}

/// Longest first, so that `>=` is not read as `>`.
const SIGNS: [(&str, &str); 9] =
    [("->", "->"), ("→", "->"), (">=", ">="), ("<=", "<="), (">", ">"), ("<", "<"), ("=", "="), (",", ","), (":", ":")];

/// All pieces of `text`, or the byte at which something else stands.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, (usize, Problem)> {
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        let rest = &text[at..];
        at += rest.len() - rest.trim_start().len();
        let rest = &text[at..];
        let Some(first) = rest.chars().next() else { return Ok(tokens) };
        let (kind, length) = match first {
            _ if first.is_ascii_digit() => number(rest).map_err(|problem| (at, problem))?,
            _ if first.is_ascii_alphabetic() || first == '_' => (Kind::Word, word_length(rest)),
            '@' => {
                let length = 1 + run(&rest[1..], |letter| letter.is_ascii_alphanumeric() || "_-./:".contains(letter));
                if length == 1 {
                    let expected = "the name of a provider after `@`: letters, digits and any of _ - . / :".to_owned();
                    return Err((at + 1, Problem::Unexpected { found: found(&rest[1..]), expected }));
                }
                (Kind::Scope(&rest[1..length]), length)
            }
            _ => match SIGNS.iter().find(|(written, _)| rest.starts_with(written)) {
                Some((written, sign)) => (Kind::Sign(sign), written.len()),
                None => {
                    let expected = "a name, a number, or one of > >= < <= -> , : =".to_owned();
                    return Err((at, Problem::Unexpected { found: found(rest), expected }));
                }
            },
        };
        tokens.push(Token { kind, text: &rest[..length], at });
        at += length;
    }
}

/// What stands at the beginning of `rest`, for a message.
fn found(rest: &str) -> String {
    match rest.chars().next() {
        Some(letter) if !letter.is_whitespace() && !letter.is_control() => format!("`{letter}`"),
        Some(_) => "a space".to_owned(),
        None => "the end".to_owned(),
    }
}

fn run(text: &str, is_in: impl Fn(char) -> bool) -> usize {
    text.find(|letter| !is_in(letter)).unwrap_or(text.len())
}

/// A `-` belongs to the word only when it goes on behind it: `hot->` is a word and an arrow.
fn word_length(text: &str) -> usize {
    let mut length = 0;
    loop {
        length += run(&text[length..], |letter| letter.is_ascii_alphanumeric() || letter == '_');
        let mut behind = text[length..].chars();
        let goes_on = behind.next() == Some('-') && behind.next().is_some_and(|next| next.is_ascii_alphanumeric());
        if !goes_on {
            return length;
        }
        length += 1;
    }
}

fn number(text: &str) -> Result<(Kind<'_>, usize), Problem> {
    let digits = run(text, |letter| letter.is_ascii_digit());
    let fraction = text[digits..].strip_prefix('.').map_or(0, |rest| 1 + run(rest, |letter| letter.is_ascii_digit()));
    let (written, rest) = text.split_at(digits + fraction);
    // People write `7 %` as well as `7%`.
    let spaces = run(rest, |letter| letter == ' ');
    let (spaces, unit) = match rest[spaces..].starts_with('%') {
        true => (spaces, "%"),
        false => (0, &rest[..run(rest, |letter| letter.is_ascii_alphabetic())]),
    };
    let number = written.parse::<f64>().ok().filter(|number| number.is_finite() && !written.ends_with('.'));
    let number = number.ok_or_else(|| Problem::Unexpected {
        found: format!("`{}`", written.chars().take(40).collect::<String>()),
        expected: "a number such as 7, 0.5 or 2000".to_owned(),
    })?;
    Ok((Kind::Number { number, unit }, written.len() + spaces + unit.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_need_no_spaces_between_them() {
        let texts = |text| tokens(text).unwrap().iter().map(|token| token.text.to_owned()).collect::<Vec<_>>();
        let expected = ["hot-cpu", ":", "cpu_usage", "@gpu-box:1/m", ">=", "7.5%", "for", "5m", "->", "shed_load"];
        assert_eq!(texts("hot-cpu: cpu_usage@gpu-box:1/m>=7.5% for 5m->shed_load"), expected);
        assert_eq!(texts("a->b→c"), ["a", "->", "b", "→", "c"]);
    }

    #[test]
    fn what_is_none_of_them_is_pointed_at() {
        for (text, at) in [("a > -1", 4), ("a > 5.", 4), ("a@ > 1", 2), ("a@", 2), ("é", 0), ("a ; b", 2)] {
            assert_eq!(tokens(text).unwrap_err().0, at, "{text}");
        }
    }
}
