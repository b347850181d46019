//! Flags, environment, file and defaults: one precedence, which is that of the parser of the command line.
//!
//! What the file says becomes the default of the argument, and the command line is parsed once more. So the same parsers read
//! and refuse what stands in the file, and a flag or a variable overrides it as it overrides any default.

mod file;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{ArgMatches, Command, CommandFactory, FromArgMatches};

use super::Arguments;

/// Every key of the file, and the argument that it is.
const KEYS: [(&str, &str); 14] = [
    ("apiServers", "apiservers"),
    ("grants", "grants"),
    ("lease.duration", "lease_duration"),
    ("lease.renewEvery", "lease_renew_every"),
    ("lease.renewWithin", "lease_renew_within"),
    ("listen", "listen"),
    ("log.format", "log_format"),
    (LOG_LEVEL, "log"),
    ("namespace", "namespace"),
    ("nodeLabelers", "node_labelers"),
    ("probeEvery", "probe_every"),
    ("webhook.certificates", "webhook_certificates"),
    ("webhook.listen", "webhook_listen"),
    ("webhook.url", "webhook_url"),
];

/// The key that is taken up while the operator runs.
pub(super) const LOG_LEVEL: &str = "log.level";

/// Arguments that no file has: who this process is and how it reaches the cluster is not the same for every replica, and
/// KUBECONFIG stands above any default.
const OF_THE_PROCESS: [(&str, &str); 4] = [
    ("config", "a file does not name another"),
    ("context", "give it as --context"),
    ("instance", "every replica needs its own: give it as POD_NAME or --instance"),
    ("kubeconfig", "give it as --kubeconfig or KUBECONFIG"),
];

/// A command line that is read, with all that stands below it.
pub(super) struct Configured {
    pub(super) arguments: Arguments,
    /// What `rempart run` is told, by key; nothing for any other command.
    pub(super) settings: Settings,
    /// The file, if one is named, and what stands in it.
    pub(super) file: Option<(PathBuf, String)>,
}

/// Every setting by its key.
pub(super) type Settings = BTreeMap<&'static str, Setting>;

/// What holds for one key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) values: Vec<String>,
    pub(super) from: Source,
}

/// Who said so, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Flag,
    Environment,
    File,
    Default,
}

/// Why there is nothing to run.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The command line is wrong, or asks for help.
    Parser(clap::Error),
    /// The file is wrong, or what is set does not go together.
    Wrong(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parser(error) => error.fmt(out),
            Self::Wrong(why) => why.fmt(out),
        }
    }
}

/// Reads a command line, with `read` for the file that it names.
pub(super) fn configured(line: &[OsString], read: impl Fn(&Path) -> std::io::Result<String>) -> Result<Configured, Refusal> {
    let mut command = Arguments::command();
    let mut matches = command.clone().try_get_matches_from(line).map_err(Refusal::Parser)?;
    let path = matches.subcommand_matches("run").and_then(|run| run.get_one::<PathBuf>("config")).cloned();
    let (mut given, mut file) = (Vec::new(), None);
    if let Some(path) = path {
        let wrong = |why: String| Refusal::Wrong(format!("{}: {why}", path.display()));
        let text = read(&path).map_err(|error| wrong(format!("it cannot be read: {error}; correct --config or REMPART_CONFIG")))?;
        let run = command.find_subcommand("run").expect("it is one of them");
        given = file::read(&text, run).map_err(wrong)?;
        command = command.mut_subcommand("run", |run| {
            given.iter().fold(run, |run, given| run.mut_arg(given.argument, |argument| argument.default_values(&given.values)))
        });
        matches = command.clone().try_get_matches_from(line).map_err(Refusal::Parser)?;
        file = Some((path, text));
    }
    let settings = matches.subcommand_matches("run").map(|run| settings(run, &given)).unwrap_or_default();
    let arguments = Arguments::from_arg_matches(&matches).map_err(|error| Refusal::Parser(error.format(&mut command)))?;
    if let super::Command::Run(run) = &arguments.command {
        run.terms().map_err(|why| Refusal::Wrong(format!("lease.duration, lease.renewWithin, lease.renewEvery: {why}")))?;
    }
    Ok(Configured { arguments, settings, file })
}

fn settings(run: &ArgMatches, given: &[file::Given]) -> Settings {
    let setting = |argument: &str| {
        let values = run.get_raw(argument).into_iter().flatten().map(|value| value.to_string_lossy().into_owned()).collect();
        let from = match run.value_source(argument) {
            Some(ValueSource::CommandLine) => Source::Flag,
            Some(ValueSource::EnvVariable) => Source::Environment,
            _ if given.iter().any(|given| given.argument == argument) => Source::File,
            _ => Source::Default,
        };
        Setting { values, from }
    };
    KEYS.iter().map(|(key, argument)| (*key, setting(argument))).collect()
}

/// What does not go by its default, for the log.
pub(super) struct Said<'a>(pub(super) &'a Settings);

impl fmt::Display for Said<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = self.0.iter().filter(|(_, setting)| setting.from != Source::Default);
        for (number, (key, Setting { values, from })) in said.enumerate() {
            let from = match from {
                Source::Flag => "flag",
                Source::Environment => "environment",
                Source::File | Source::Default => "file",
            };
            write!(out, "{}{key}={} ({from})", if number > 0 { " " } else { "" }, values.join(","))?;
        }
        Ok(())
    }
}

/// Help for `rempart run`, which says what may stand in the file.
pub(super) fn file_help() -> String {
    let keys = KEYS.map(|(key, _)| key).join(", ");
    format!(
        "A flag stands above its variable, that above the file, and the file above the default.\n\
         The file is YAML; a.b is b within a. Its keys: {keys}.\n\
         {LOG_LEVEL} is taken up while the operator runs, within seconds or at SIGHUP; everything else at its next start."
    )
}

/// A command without any environment: what a value in the file is worth by itself.
fn alone(run: &Command, argument: &str) -> Command {
    let argument = run.get_arguments().find(|found| found.get_id() == argument).expect("a test holds the keys against the arguments");
    let parser = argument.get_value_parser().clone();
    Command::new("file").no_binary_name(true).arg(clap::Arg::new("value").long("value").value_parser(parser))
}

#[cfg(test)]
mod tests;
