//! One precedence for every setting of `rempart run`: flags over environment over file over defaults. No cluster: the operator
//! says what it was told before it looks for one, and then finds none.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

use regex::Regex;

/// A setting: its flag, its variable, its key, and what the file, the environment and the flag say in turn.
struct Setting {
    flag: &'static str,
    variable: &'static str,
    key: &'static str,
    values: [&'static str; 3],
}

const fn setting(flag: &'static str, variable: &'static str, key: &'static str, values: [&'static str; 3]) -> Setting {
    Setting { flag, variable, key, values }
}

const SETTINGS: [Setting; 14] = [
    setting("apiserver", "REMPART_APISERVERS", "apiServers", ["https://a", "https://b,https://c", "https://d:6443"]),
    setting("grants", "REMPART_GRANTS", "grants", ["off", "enforce", "warn"]),
    setting("lease-duration", "REMPART_LEASE_DURATION", "lease.duration", ["20s", "21s", "22s"]),
    setting("lease-renew-every", "REMPART_LEASE_RENEW_EVERY", "lease.renewEvery", ["3s", "4s", "5s"]),
    setting("lease-renew-within", "REMPART_LEASE_RENEW_WITHIN", "lease.renewWithin", ["11s", "12s", "13s"]),
    setting("listen", "REMPART_LISTEN", "listen", ["none", "127.0.0.1:0", "[::1]:0"]),
    setting("log", "REMPART_LOG", "log.level", ["debug", "info,rempart=trace", "trace"]),
    setting("log-format", "REMPART_LOG_FORMAT", "log.format", ["json", "text", "json"]),
    setting("namespace", "POD_NAMESPACE", "namespace", ["a", "b", "c"]),
    setting("node-labeler", "REMPART_NODE_LABELERS", "nodeLabelers", ["joe", "jim,jack", "jane"]),
    setting("probe-every", "REMPART_PROBE_EVERY", "probeEvery", ["31s", "5m", "1m"]),
    setting("webhook-certificates", "REMPART_WEBHOOK_CERTIFICATES", "webhook.certificates", ["25h", "26h", "27h"]),
    setting("webhook-listen", "REMPART_WEBHOOK_LISTEN", "webhook.listen", ["none", "127.0.0.1:0", "[::1]:0"]),
    setting("webhook-url", "REMPART_WEBHOOK_URL", "webhook.url", ["https://a", "https://b", "https://c"]),
];

/// Flags that stand in no file, because they differ from process to process.
const OF_THE_PROCESS: [&str; 4] = ["config", "context", "instance", "kubeconfig"];

fn rempart(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rempart"));
    command.args(arguments).env_clear().env("KUBECONFIG", "/there/is/none").envs(environment.iter().copied());
    command.output().expect("it starts")
}

fn written(name: &str, text: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("configuration-{}-{name}.yaml", std::process::id()));
    std::fs::write(&path, text).unwrap();
    path
}

/// What the operator says that it was told by a file, or why it does not start.
pub fn configured(file: &str) -> Result<String, String> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let file = written(&format!("told-{}", NUMBER.fetch_add(1, Ordering::Relaxed)), file);
    let said = told(&["--config", file.to_str().unwrap()], &[]);
    std::fs::remove_file(file).unwrap();
    said
}

/// The line with which it says what it was told.
fn told(flags: &[&str], environment: &[(&str, &str)]) -> Result<String, String> {
    let output = rempart(&[&["run"], flags].concat(), environment);
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = log.lines().find(|line| line.contains("configured"));
    // It finds no cluster.
    line.filter(|_| output.status.code() == Some(3)).map(str::to_owned).ok_or_else(|| log.clone())
}

/// What a file says where it gives this key its value.
fn file_of(key: &str, value: &str) -> String {
    let value = if ["apiServers", "nodeLabelers"].contains(&key) { format!("[{value:?}]") } else { format!("{value:?}") };
    match key.split_once('.') {
        Some((section, key)) => format!("{section}:\n  {key}: {value}\n"),
        None => format!("{key}: {value}\n"),
    }
}

#[test]
fn for_every_setting_a_flag_beats_its_variable_and_that_the_file_and_that_the_default() {
    let help = String::from_utf8(rempart(&["run", "--help"], &[]).stdout).unwrap();
    let flags = Regex::new(r"(?m)^\s+(?:-\w, )?--([a-z-]+)").unwrap();
    let flags: BTreeSet<&str> =
        flags.captures_iter(&help).map(|found| found.extract::<1>().1[0]).filter(|flag| !["help", "version"].contains(flag)).collect();
    let tried: BTreeSet<&str> = SETTINGS.iter().map(|setting| setting.flag).chain(OF_THE_PROCESS).collect();
    assert_eq!(flags, tried, "every flag has its line in the table above");

    for Setting { flag, variable, key, values: [in_file, in_environment, by_flag] } in SETTINGS {
        assert!(help.contains(&format!("[env: {variable}=")), "{flag} has its variable");
        let file = written(flag, &file_of(key, in_file));
        let (config, flag) = (["--config", file.to_str().unwrap()], format!("--{flag}={by_flag}"));
        let said = |flags: &[&str], environment: &[(&str, &str)]| told(flags, environment).expect("it says what it was told");
        let both = [config[0], config[1], flag.as_str()];
        let environment = [(variable, in_environment)];
        for (flags, environment, wanted) in [
            (&both[..], &environment[..], format!("{key}={by_flag} (flag)")),
            (&config[..], &environment[..], format!("{key}={in_environment} (environment)")),
            (&config[..], &[], format!("{key}={in_file} (file)")),
            (&both[..], &[], format!("{key}={by_flag} (flag)")),
            (&both[2..], &environment[..], format!("{key}={by_flag} (flag)")),
        ] {
            let line = said(flags, environment);
            assert!(line.contains(&wanted), "{flags:?} {environment:?}: {wanted} is not in {line}");
        }
        assert!(!said(&[], &[]).contains(key), "{key} goes by its default");
        // The file may be named by a variable too.
        assert!(said(&[], &[("REMPART_CONFIG", config[1])]).contains(&format!("{key}={in_file} (file)")));
        std::fs::remove_file(file).unwrap();
    }
}

#[test]
fn a_file_that_is_wrong_or_not_there_ends_with_code_two_and_says_what_to_write() {
    let mistyped = written("mistyped", "grants: warn\nprobeEvry: 30s\n");
    let mistyped = mistyped.to_str().unwrap();
    for (file, says) in [
        (mistyped, &["line 2", "there is no key probeEvry", "probeEvery"][..]),
        ("/there/is/none.yaml", &["it cannot be read", "No such file", "--config or REMPART_CONFIG"]),
        ("/", &["it cannot be read", "--config or REMPART_CONFIG"]),
    ] {
        let output = rempart(&["run", "--config", file], &[]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        for says in [&[file], says].concat() {
            assert!(said.contains(says), "{says} is not in {said}");
        }
    }
    std::fs::remove_file(mistyped).unwrap();
    // What stands on the command line and in the environment is refused as ever.
    for (flags, environment, says) in [
        (&["--log", "debgu"][..], &[][..], "\"debgu\" is no level"),
        (&[], &[("REMPART_PROBE_EVERY", "soon")], "write a length of time such as 30s or 5m"),
        (&["--apiserver", "192.0.2.1"], &[], "write a URL such as https://192.0.2.1:6443"),
        (&["--lease-duration", "5s"], &[], "the lease must last"),
    ] {
        let output = rempart(&[&["run"], flags].concat(), environment);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains(says), "{says} is not in {said}");
    }
}
