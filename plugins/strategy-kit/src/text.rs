//! Sentences with numbers in them, without the standard library's float formatting, which alone would be a third of
//! a strategy's size.

/// A text that is built piece by piece. Its steps are never inlined: a sentence is made once in minutes, and each
/// copy would add to a strategy's size.
#[derive(Debug, Default)]
pub struct Text(String);

impl Text {
    /// Starts with `words`.
    pub fn new(words: &str) -> Self {
        Self(words.to_owned())
    }

    /// Adds words as they are.
    #[inline(never)]
    pub fn words(mut self, words: &str) -> Self {
        self.0.push_str(words);
        self
    }

    /// Adds a whole number.
    #[inline(never)]
    pub fn integer(mut self, value: i64) -> Self {
        if value < 0 {
            self.0.push('-');
        }
        push_digits(&mut self.0, value.unsigned_abs(), 1);
        self
    }

    /// Adds a number with at most two decimals; `unknown` when it is not finite.
    #[inline(never)]
    pub fn number(mut self, value: f64) -> Self {
        if !value.is_finite() {
            return self.words("unknown");
        }
        if value < 0.0 {
            self.0.push('-');
        }
        // Large values need no decimals, and 100 times them might not fit.
        let hundredths = if value.abs() >= 100.0 { value.abs().round() * 100.0 } else { (value.abs() * 100.0).round() };
        let hundredths = hundredths as u64;
        push_digits(&mut self.0, hundredths / 100, 1);
        match hundredths % 100 {
            0 => {}
            tens if tens % 10 == 0 => {
                self.0.push('.');
                push_digits(&mut self.0, tens / 10, 1);
            }
            both => {
                self.0.push('.');
                push_digits(&mut self.0, both, 2);
            }
        }
        self
    }

    /// Adds a share (0 to 1) in per cent.
    pub fn percent(self, share: f64) -> Self {
        self.number(share * 100.0).words(" %")
    }

    /// Adds bytes in MiB.
    pub fn mebibytes(self, bytes: f64) -> Self {
        self.number((bytes / (1024.0 * 1024.0)).round()).words(" MiB")
    }

    /// The finished text.
    pub fn done(self) -> String {
        self.0
    }
}

#[inline(never)]
fn push_digits(text: &mut String, value: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let (mut at, mut left) = (digits.len(), value);
    while left > 0 || digits.len() - at < width {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
    }
    text.extend(digits[at..].iter().map(|digit| char::from(*digit)));
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn numbers_read_as_people_write_them() {
        let text = Text::new("from ").integer(-12).words(" to ").number(166.4).words(", ").number(1.3).words(", ");
        assert_eq!(text.number(0.05).words(", ").number(f64::NAN).done(), "from -12 to 166, 1.3, 0.05, unknown");
        assert_eq!(Text::default().percent(0.051).words(" of ").mebibytes(2097152.0).done(), "5.1 % of 2 MiB");
        assert_eq!(Text::default().number(-0.5).words(" ").integer(0).words(" ").number(0.0).done(), "-0.5 0 0");
    }
}
