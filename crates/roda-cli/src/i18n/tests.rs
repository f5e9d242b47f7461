//! The catalogues have the same keys and values, and every text can be shown.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// Keys of a catalogue with the values each uses; attributes as `key.attribute`.
fn shape(source: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut shape: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut message = String::new();
    let mut current = String::new();
    for line in source.lines() {
        if line.starts_with('#') || line.trim().is_empty() {
            continue;
        }
        let text = line.trim_start();
        let head = line.split(" =").next().unwrap_or_default();
        if line.starts_with(|c: char| c.is_ascii_lowercase()) {
            message = head.to_owned();
            current.clone_from(&message);
        } else if let Some(attribute) = text.strip_prefix('.') {
            let attribute = attribute.split(" =").next().unwrap_or_default();
            current = format!("{message}.{attribute}");
        }
        let values = shape.entry(current.clone()).or_default();
        for part in line.split('$').skip(1) {
            let name = part
                .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .next()
                .unwrap_or_default();
            values.insert(name.to_owned());
        }
    }
    shape
}

#[test]
fn both_catalogues_have_the_same_keys_and_values() {
    let (english, portuguese) = (shape(ENGLISH), shape(PORTUGUESE));
    for (key, values) in &english {
        assert_eq!(Some(values), portuguese.get(key), "{key}");
    }
    for key in portuguese.keys() {
        assert!(english.contains_key(key), "{key} is in pt-BR only");
    }
    assert!(
        english.len() > 100,
        "the parser of this test sees the texts"
    );
}

#[test]
fn every_text_can_be_shown_in_both_languages() {
    for (language, source) in [
        (Language::English, ENGLISH),
        (Language::Portuguese, PORTUGUESE),
    ] {
        let catalogue = Catalogue::new(language);
        for (key, names) in shape(source) {
            for value in [Arg::Number(1), Arg::Number(5), Arg::Text("texto".into())] {
                let args = names
                    .iter()
                    .map(|name| (name.clone(), value.clone()))
                    .collect();
                let text = catalogue.find(&key, &args);
                assert!(
                    text.as_ref().is_some_and(|text| !text.is_empty()),
                    "{key} in {language:?}"
                );
            }
        }
    }
}

#[test]
fn every_error_has_a_hint() {
    for source in [ENGLISH, PORTUGUESE] {
        let shape = shape(source);
        for key in shape.keys().filter(|key| key.starts_with("error-")) {
            if !key.contains('.') {
                assert!(shape.contains_key(&format!("{key}.hint")), "{key}");
            }
        }
    }
}

#[test]
fn every_text_that_the_code_names_exists() {
    let shape = shape(ENGLISH);
    let mut files = vec![std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut seen = 0;
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(
                std::fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            continue;
        }
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        for (call, prefix) in [
            ("text(\"", ""),
            ("Failure::new(\"", "error-"),
            ("Self::new(\"", "error-"),
        ] {
            let calls = source.split(call).skip(1);
            for key in calls.filter_map(|rest| rest.split('"').next()) {
                if prefix.is_empty() || path.ends_with("error.rs") || call.starts_with("Failure") {
                    let silent = matches!(key, "broken-pipe" | "interrupted" | "terminated");
                    assert!(
                        silent || shape.contains_key(&format!("{prefix}{key}")),
                        "{key} in {}",
                        path.display()
                    );
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 60, "the search of this test finds the calls");
}

#[test]
fn tags_of_every_usual_form_choose_a_language() {
    assert_eq!(
        Language::from_tag("pt_BR.UTF-8"),
        Some(Language::Portuguese)
    );
    assert_eq!(Language::from_tag("pt-BR"), Some(Language::Portuguese));
    assert_eq!(Language::from_tag("en_GB"), Some(Language::English));
    assert_eq!(Language::from_tag("C.UTF-8"), Some(Language::English));
    assert_eq!(Language::from_tag("fr"), None);
}
