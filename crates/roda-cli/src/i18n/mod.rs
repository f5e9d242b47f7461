//! The texts, in two languages, from one catalogue each; what is about jobs has files of its own.

use std::collections::BTreeMap;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use unic_langid::LanguageIdentifier;

use crate::error::Arg;

/// A language that Roda speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    /// English.
    English,
    /// Portuguese of Brazil.
    Portuguese,
}

impl Language {
    /// The language named by a tag such as `pt-BR` or `pt_BR.UTF-8`.
    ///
    /// Any Portuguese is served in the one there is; `C` and `POSIX` are English.
    pub(crate) fn from_tag(tag: &str) -> Option<Self> {
        match tag.split(['-', '_', '.', '@']).next()? {
            "en" | "C" | "POSIX" => Some(Self::English),
            "pt" => Some(Self::Portuguese),
            _ => None,
        }
    }

    /// The language to use: the option's, else the environment's, else English.
    pub(crate) fn choose(option: Option<&str>) -> Self {
        if let Some(language) = option.and_then(Self::from_tag) {
            return language;
        }
        // The order that gettext and glibc follow; an empty value counts as unset.
        let named = ["RODA_LANG", "LC_ALL", "LC_MESSAGES", "LANG"]
            .iter()
            .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
        named
            .or_else(sys_locale::get_locale)
            .and_then(|tag| Self::from_tag(&tag))
            .unwrap_or(Self::English)
    }
}

/// All texts of one language.
pub(crate) struct Catalogue {
    bundle: FluentBundle<FluentResource>,
}

impl Catalogue {
    /// Loads a language.
    pub(crate) fn new(language: Language) -> Self {
        let (tag, source) = match language {
            Language::English => ("en", ENGLISH),
            Language::Portuguese => ("pt-BR", PORTUGUESE),
        };
        let resource = FluentResource::try_new(source.to_owned())
            .expect("the embedded catalogue is checked by a test");
        let tag: LanguageIdentifier = tag.parse().expect("both tags are well-formed");
        let mut bundle = FluentBundle::new_concurrent(vec![tag]);
        // Isolation marks are invisible characters that break copying from a terminal.
        bundle.set_use_isolating(false);
        bundle
            .add_resource(resource)
            .expect("the embedded catalogue has every key once");
        Self { bundle }
    }

    /// The text `key`, or `key.attribute`; `None` if there is none.
    pub(crate) fn find(&self, key: &str, args: &BTreeMap<String, Arg>) -> Option<String> {
        let (id, attribute) = match key.split_once('.') {
            Some((id, attribute)) => (id, Some(attribute)),
            None => (key, None),
        };
        let message = self.bundle.get_message(id)?;
        let pattern = match attribute {
            Some(attribute) => message.get_attribute(attribute)?.value(),
            None => message.value()?,
        };
        let values: FluentArgs<'_> = args
            .iter()
            .map(|(name, value)| {
                let value = match value {
                    Arg::Number(number) => FluentValue::from(*number),
                    Arg::Text(text) => FluentValue::from(text.as_str()),
                };
                (name.as_str(), value)
            })
            .collect();
        let mut faults = Vec::new();
        let text = self
            .bundle
            .format_pattern(pattern, Some(&values), &mut faults);
        debug_assert!(faults.is_empty(), "{key}: {faults:?}");
        Some(text.into_owned())
    }

    /// The text `key`.
    ///
    /// A missing text is a bug that the tests find; a user still gets something to search for.
    pub(crate) fn text(&self, key: &str, args: &[(&str, Arg)]) -> String {
        let args = args
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        self.find(key, &args).unwrap_or_else(|| key.to_owned())
    }
}

const ENGLISH: &str = concat!(include_str!("en.ftl"), include_str!("en-jobs.ftl"));
const PORTUGUESE: &str = concat!(include_str!("pt-BR.ftl"), include_str!("pt-BR-jobs.ftl"));

#[cfg(test)]
mod tests;
