//! What a command prints: results to standard output, everything else to standard error.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;
use serde_json::json;

use crate::error::{Arg, Failure, Result};
use crate::i18n::{Catalogue, Language};

/// How this command talks to its user.
pub(crate) struct Ui {
    catalogue: Catalogue,
    /// One JSON object per line instead of text.
    pub(crate) json: bool,
    colours_out: bool,
    colours_err: bool,
}

/// A colour of the eight that every terminal has.
#[derive(Clone, Copy)]
pub(crate) enum Colour {
    /// Something failed.
    Red,
    /// All is well.
    Green,
    /// Look here.
    Cyan,
    /// Secondary.
    Dim,
    /// Headings.
    Bold,
    /// As the terminal has it.
    Plain,
}

impl Colour {
    const fn code(self) -> &'static str {
        match self {
            Self::Red => "31",
            Self::Green => "32",
            Self::Cyan => "36",
            Self::Dim => "2",
            Self::Bold => "1",
            Self::Plain => "0",
        }
    }
}

impl Ui {
    /// Speaks `language`; colours only where they are wanted.
    pub(crate) fn new(language: Language, json: bool) -> Self {
        let wanted = !json
            && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self {
            catalogue: Catalogue::new(language),
            json,
            colours_out: wanted && io::stdout().is_terminal(),
            colours_err: wanted && io::stderr().is_terminal(),
        }
    }

    /// The text `key` in the user's language.
    pub(crate) fn text(&self, key: &str, args: &[(&str, Arg)]) -> String {
        self.catalogue.text(key, args)
    }

    /// The catalogue itself.
    pub(crate) const fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// `text` in a colour, if standard output shows colours.
    pub(crate) fn paint(&self, colour: Colour, text: &str) -> String {
        paint(self.colours_out, colour, text)
    }

    /// Prints a line of the result.
    pub(crate) fn line(&self, text: &str) -> Result<()> {
        self.raw(format!("{text}\n").as_bytes())
    }

    /// Prints bytes of the result as they are, at once.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)
            .and_then(|()| out.flush())
            .map_err(|error| match error.kind() {
                io::ErrorKind::BrokenPipe => Failure::broken_pipe(),
                _ => Failure::new("output").with("reason", error.to_string()),
            })
    }

    /// Prints an object of the result as one line of JSON.
    pub(crate) fn object(&self, object: &impl Serialize) -> Result<()> {
        let line = serde_json::to_string(object).expect("results are plain data");
        self.line(&line)
    }

    /// Tells the user something that is no result; nobody reads it under `--json`.
    pub(crate) fn note(&self, text: &str) {
        if !self.json {
            say_on_stderr(text);
        }
    }

    /// Reports a failure: `error:` and `hint:`, or a JSON object.
    ///
    /// Machine output is English in every language, so that programs can be written against it.
    pub(crate) fn failure(&self, failure: &Failure) {
        if failure.is_silent() {
            return;
        }
        if self.json {
            let catalogue = Catalogue::new(Language::English);
            let (message, hint) = words(&catalogue, failure);
            let object = json!({"error": {
                "code": failure.code, "message": message, "hint": hint, "values": failure.args,
            }});
            say_on_stderr(&object.to_string());
            return;
        }
        let (message, hint) = words(&self.catalogue, failure);
        let label = self.text("label-error", &[]);
        let mut text = format!("{} {message}", paint(self.colours_err, Colour::Red, &label));
        if let Some(hint) = hint {
            let label = self.text("label-hint", &[]);
            let label = paint(self.colours_err, Colour::Cyan, &label);
            write!(text, "\n{label} {hint}").expect("writing to a string cannot fail");
        }
        say_on_stderr(&text);
    }
}

/// Message and hint of a failure.
pub(crate) fn words(catalogue: &Catalogue, failure: &Failure) -> (String, Option<String>) {
    // Values may come from peers or from a mistyped argument with escapes in it.
    let args = failure
        .args
        .iter()
        .map(|(name, value)| {
            let value = match value {
                Arg::Text(text) => Arg::Text(shortened(&escaped(text))),
                Arg::Number(number) => Arg::Number(*number),
            };
            (name.clone(), value)
        })
        .collect();
    let key = format!("error-{}", failure.code);
    match catalogue.find(&key, &args) {
        Some(message) => (message, catalogue.find(&format!("{key}.hint"), &args)),
        // A newer daemon can report what this command has no words for.
        None => (failure.code.clone(), None),
    }
}

fn paint(wanted: bool, colour: Colour, text: &str) -> String {
    if wanted && !matches!(colour, Colour::Plain) {
        format!("\u{1b}[{}m{text}\u{1b}[0m", colour.code())
    } else {
        text.to_owned()
    }
}

/// A closed standard error must not end a command that works.
fn say_on_stderr(text: &str) {
    drop(writeln!(io::stderr().lock(), "{text}"));
}

/// An argument of 10 kB is not worth 10 kB of error.
fn shortened(text: &str) -> String {
    if text.chars().count() <= VALUE_CHARS_MAX {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(VALUE_CHARS_MAX).collect();
    short.push('…');
    short
}

/// Makes text from elsewhere harmless for a terminal: whatever could move the cursor, change the
/// direction of writing or start a new line is shown as an escape.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_dangerous) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_dangerous(character) {
            safe.extend(character.escape_default());
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

/// The same for bytes that need not be UTF-8.
pub(crate) fn escaped_bytes(bytes: &[u8]) -> String {
    let mut safe = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        safe.push_str(&escaped(chunk.valid()));
        for byte in chunk.invalid() {
            write!(safe, "\\x{byte:02x}").expect("writing to a string cannot fail");
        }
    }
    safe
}

const fn is_dangerous(character: char) -> bool {
    // C0 (but the tab), DEL and C1; line and paragraph separators; bidirectional controls.
    matches!(character,
        '\0'..='\u{8}' | '\n'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{61c}' | '\u{200e}' | '\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

const VALUE_CHARS_MAX: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_peers_cannot_steer_the_terminal() {
        assert_eq!(escaped("olá\tça 🎡"), "olá\tça 🎡");
        assert_eq!(escaped("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(escaped("a\r\nb"), "a\\r\\nb");
        assert_eq!(
            escaped("\u{9b}31m\u{202e}x\u{7f}"),
            "\\u{9b}31m\\u{202e}x\\u{7f}"
        );
        assert_eq!(escaped_bytes(b"ok \xff\x07"), "ok \\xff\\u{7}");
    }

    #[test]
    fn long_values_are_cut_in_errors() {
        let failure = Failure::new("usage-unknown-argument").with("argument", "é".repeat(10_000));
        let (message, _hint) = words(&Catalogue::new(Language::English), &failure);
        assert!(message.len() < 400);
    }
}
