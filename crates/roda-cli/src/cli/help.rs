//! Help and usage errors in the user's language.
//!
//! clap knows English only, so its command tree is walked once and every text in it replaced.

use std::collections::BTreeMap;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command, CommandFactory as _, FromArgMatches as _};

use super::Cli;
use crate::error::{Exit, Failure};
use crate::i18n::Catalogue;
use crate::output::Ui;

/// What the command line asks for.
pub(crate) enum Parsed {
    /// A command.
    Command(Box<Cli>),
    /// A text to print, and how to end after it.
    Text(String, Exit),
}

/// Parses the arguments; help and errors in the language of `ui`.
pub(crate) fn parse(arguments: &[OsString], ui: &Ui) -> Result<Parsed, Failure> {
    let mut command = command(ui.catalogue());
    let parsed = command
        .try_get_matches_from_mut(arguments)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    match parsed {
        Ok(cli) => Ok(Parsed::Command(Box::new(cli))),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                Ok(Parsed::Text(error.to_string(), Exit::Done))
            }
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                Ok(Parsed::Text(error.to_string(), Exit::Usage))
            }
            ErrorKind::MissingSubcommand => match bare_help(&mut command, arguments) {
                Some(help) => Ok(Parsed::Text(help, Exit::Usage)),
                None => Err(usage_failure(&error, command_name(arguments))),
            },
            _ => Err(usage_failure(&error, command_name(arguments))),
        },
    }
}

/// The help of a command that was given nothing at all. With `RODA_HOME` set clap takes an option for given, and
/// does not print it by itself.
fn bare_help(command: &mut Command, arguments: &[OsString]) -> Option<String> {
    let mut at = command;
    for name in arguments.iter().skip(1) {
        at = at.find_subcommand_mut(name)?;
    }
    Some(at.render_help().to_string())
}

/// The value of an option that must be known before the arguments are parsed.
pub(crate) fn early_option(arguments: &[OsString], name: &str) -> Option<String> {
    let mut arguments = arguments.iter().map(|argument| argument.to_string_lossy());
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            return None;
        }
        if argument == name {
            return arguments.next().map(Into::into);
        }
        if let Some(value) = argument
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('='))
        {
            return Some(value.to_owned());
        }
    }
    None
}

/// The command tree with all texts from `catalogue`.
pub(crate) fn command(catalogue: &Catalogue) -> Command {
    let text = |key: &str| catalogue.text(key, &[]);
    let version = Arg::new("version")
        .short('V')
        .long("version")
        .action(ArgAction::Version);
    let mut root =
        localised(Cli::command().arg(version), "", catalogue).after_help(text("help-after"));
    root.build();
    localise_usage(&mut root, &text("value-options"), &text("value-command"));
    root
}

/// The same tree without what is hidden, which the generators of completions would offer.
pub(crate) fn visible(command: &Command) -> Command {
    let arguments = command.get_arguments().filter(|arg| !arg.is_hide_set());
    let subs = command.get_subcommands().filter(|sub| !sub.is_hide_set());
    Command::new(command.get_name().to_owned())
        .version(env!("CARGO_PKG_VERSION"))
        .about(command.get_about().cloned().unwrap_or_default())
        .disable_help_flag(true)
        .disable_help_subcommand(true)
        .disable_version_flag(true)
        .subcommand_negates_reqs(command.is_subcommand_negates_reqs_set())
        .args(arguments.cloned())
        .subcommands(subs.map(visible))
}

fn localised(command: Command, path: &str, catalogue: &Catalogue) -> Command {
    let text = |key: &str| catalogue.text(key, &[]);
    let help = Arg::new("help")
        .short('h')
        .long("help")
        .action(ArgAction::Help);
    let template = format!(
        "{{about-with-newline}}\n{} {{usage}}\n\n{{all-args}}{{after-help}}",
        text("label-usage")
    );
    let mut command = command
        .disable_help_flag(true)
        .args_override_self(true)
        .arg(help)
        .about(text(&format!("help{path}")))
        .help_template(template)
        .subcommand_help_heading(text("label-commands"));
    if let Some(examples) = catalogue.find(&format!("help{path}-examples"), &BTreeMap::new()) {
        command = command.after_help(examples);
    }
    let arguments: Vec<_> = command
        .get_arguments()
        .map(|arg| arg.get_id().clone())
        .collect();
    for (order, id) in arguments.into_iter().enumerate() {
        command = command.mut_arg(&id, |arg| localised_arg(arg, order, path, catalogue));
    }
    let names: Vec<String> = command
        .get_subcommands()
        .map(|sub| sub.get_name().to_owned())
        .collect();
    for name in names {
        command = command.mut_subcommand(&name, |sub| {
            let path = format!("{path}-{name}");
            if sub.is_hide_set() {
                sub
            } else {
                localised(sub, &path, catalogue)
            }
        });
    }
    command
}

fn localised_arg(arg: Arg, order: usize, path: &str, catalogue: &Catalogue) -> Arg {
    if arg.is_hide_set() {
        return arg;
    }
    let none = BTreeMap::new();
    let id = arg.get_id().as_str().replace('_', "-");
    let is_everywhere = matches!(id.as_str(), "help" | "version");
    let help = catalogue
        .find(&format!("help{path}-{id}"), &none)
        .filter(|_| !is_everywhere)
        .unwrap_or_else(|| catalogue.text(&format!("help-common-{id}"), &[]));
    let heading = if arg.is_positional() {
        "label-arguments"
    } else {
        "label-options"
    };
    let names: Option<Vec<String>> = arg.get_value_names().map(|names| {
        names
            .iter()
            .map(|name| {
                let key = format!("value-{}", name.to_lowercase().replace(':', "-"));
                catalogue
                    .find(&key, &none)
                    .unwrap_or_else(|| name.to_string())
            })
            .collect()
    });
    // A command's own options come first; all are in the order of their definition.
    let order = match (is_everywhere, arg.is_global_set()) {
        (true, _) => order + ORDER_LAST,
        (false, true) => order + ORDER_GLOBAL,
        (false, false) => order,
    };
    let arg = arg
        .help(help)
        .help_heading(catalogue.text(heading, &[]))
        .display_order(order);
    match names {
        Some(names) => arg.value_names(names),
        None => arg,
    }
}

fn localise_usage(command: &mut Command, options: &str, subcommand: &str) {
    let usage = command.render_usage().to_string();
    let usage = usage
        .strip_prefix("Usage: ")
        .unwrap_or(&usage)
        .replace("[OPTIONS]", &format!("[{options}]"))
        .replace("<COMMAND>", &format!("<{subcommand}>"));
    *command = std::mem::take(command).override_usage(usage);
    for sub in command.get_subcommands_mut() {
        localise_usage(sub, options, subcommand);
    }
}

/// clap's error as one of ours.
fn usage_failure(error: &clap::Error, command: Option<&str>) -> Failure {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) if kind == ContextKind::SuggestedSubcommand => {
            // The text has quotes around all of it.
            texts.join("”, “")
        }
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        Some(ContextValue::StyledStr(text)) => text.to_string(),
        Some(ContextValue::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    let argument = context(ContextKind::InvalidArg);
    match error.kind() {
        // The commonest slip: a command without the “--” before it.
        ErrorKind::UnknownArgument => Failure::new(match command {
            Some("lock") if !argument.starts_with('-') => "usage-lock-command",
            Some("work") if !argument.starts_with('-') => "usage-work-command",
            _ => "usage-unknown-argument",
        })
        .with("argument", argument),
        ErrorKind::InvalidSubcommand => {
            let command = context(ContextKind::InvalidSubcommand);
            let similar = context(ContextKind::SuggestedSubcommand);
            if similar.is_empty() {
                Failure::new("usage-unknown-command").with("command", command)
            } else {
                Failure::new("usage-similar-command")
                    .with("command", command)
                    .with("similar", similar)
            }
        }
        ErrorKind::MissingRequiredArgument => {
            Failure::new("usage-missing-argument").with("argument", argument)
        }
        ErrorKind::MissingSubcommand => Failure::new("usage-missing-command"),
        ErrorKind::ArgumentConflict => Failure::new("usage-conflict")
            .with("argument", argument)
            .with("other", context(ContextKind::PriorArg)),
        ErrorKind::InvalidValue if context(ContextKind::InvalidValue).is_empty() => {
            Failure::new("usage-missing-value").with("argument", argument)
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => Failure::new("usage-invalid-value")
            .with("argument", argument)
            .with("value", context(ContextKind::InvalidValue)),
        ErrorKind::InvalidUtf8 => Failure::new("usage-utf8"),
        _ => Failure::new("usage-other").with("reason", error.kind().to_string()),
    }
}

/// The command's name, as far as one sees without parsing.
fn command_name(arguments: &[OsString]) -> Option<&str> {
    let mut arguments = arguments.iter().skip(1).map(|argument| argument.to_str());
    loop {
        match arguments.next()?? {
            "--home" | "--lang" => drop(arguments.next()),
            option if option.starts_with('-') => {}
            name => return Some(name),
        }
    }
}

const ORDER_GLOBAL: usize = 500;
const ORDER_LAST: usize = 900;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::i18n::Language;

    fn visit(command: &Command, path: &str) {
        let about = command.get_about().map(ToString::to_string).unwrap();
        assert!(!about.starts_with("help"), "{about}");
        for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
            let help = arg.get_help().map(ToString::to_string).unwrap();
            let is_key = help.starts_with("help-common");
            assert!(!is_key, "no text for {path} {}", arg.get_id());
        }
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
            visit(sub, &format!("{path} {}", sub.get_name()));
        }
    }

    #[test]
    fn every_command_and_argument_has_a_text_in_both_languages() {
        for language in [Language::English, Language::Portuguese] {
            let catalogue = Catalogue::new(language);
            visit(&command(&catalogue), "roda");
        }
    }

    #[test]
    fn the_definition_of_the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_language_is_found_before_parsing() {
        let arguments = |list: &[&str]| list.iter().map(OsString::from).collect::<Vec<_>>();
        let find = |list: &[&str]| early_option(&arguments(list), "--lang");
        assert_eq!(find(&["roda", "--lang", "en", "up"]).as_deref(), Some("en"));
        assert_eq!(
            find(&["roda", "up", "--lang=pt-BR"]).as_deref(),
            Some("pt-BR")
        );
        assert_eq!(find(&["roda", "say", "t", "--", "--lang=pt-BR"]), None);
    }
}
