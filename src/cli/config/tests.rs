use std::collections::BTreeSet;
use std::io::{Error, ErrorKind};

use super::*;

/// What comes of `rempart run --config c.yaml FLAGS…` with this file. Variables are those of the tests, which are none of ours.
fn with(file: &str, flags: &[&str]) -> Result<Configured, String> {
    let line: Vec<OsString> = ["rempart", "run", "--config", "c.yaml"].iter().chain(flags).map(OsString::from).collect();
    configured(&line, |path| {
        assert_eq!(path, Path::new("c.yaml"));
        Ok(file.to_owned())
    })
    .map_err(|refusal| refusal.to_string())
}

#[test]
fn every_argument_is_a_key_of_the_file_or_belongs_to_the_process() {
    let command = Arguments::command();
    let run = command.find_subcommand("run").unwrap();
    let arguments: BTreeSet<&str> = run.get_arguments().map(|argument| argument.get_id().as_str()).collect();
    let known: BTreeSet<&str> = KEYS.iter().chain(&OF_THE_PROCESS).flat_map(|(one, other)| [*one, *other]).collect();
    let forgotten: Vec<_> = arguments.difference(&known).collect();
    assert!(forgotten.is_empty(), "{forgotten:?} can stand in no file: give it a key, or say why not");
    for (key, argument) in KEYS {
        assert!(arguments.contains(argument), "{key} is an argument that there is not: {argument}");
    }
    let mut keys = KEYS.to_vec();
    keys.sort_unstable();
    keys.dedup_by_key(|(key, _)| *key);
    assert_eq!(keys, KEYS, "sorted, each once");
}

#[test]
fn the_file_stands_above_the_defaults_and_below_the_flags() {
    let file = "nodeLabelers: [joe, jim]\nlease: {duration: 60s}\nlog:\n  level: warn\ngrants: off\n";
    let configured = with(file, &["--log", "debug", "--node-labeler", "jack"]).unwrap();
    let of = |key: &str| (configured.settings[key].values.join(" "), configured.settings[key].from);
    assert_eq!(of("nodeLabelers"), ("jack".to_owned(), Source::Flag));
    assert_eq!(of("lease.duration"), ("60s".to_owned(), Source::File));
    assert_eq!(of("lease.renewWithin"), ("10s".to_owned(), Source::Default));
    assert_eq!(of("log.level"), ("debug".to_owned(), Source::Flag));
    assert_eq!(of("grants"), ("off".to_owned(), Source::File));
    assert_eq!(of("apiServers"), (String::new(), Source::Default));
    let said = Said(&configured.settings).to_string();
    assert_eq!(said, "grants=off (file) lease.duration=60s (file) log.level=debug (flag) nodeLabelers=jack (flag)");
    assert_eq!(with("nodeLabelers: [joe, jim]", &[]).unwrap().settings["nodeLabelers"].values, ["joe", "jim"]);
}

#[test]
fn a_file_that_says_nothing_changes_nothing() {
    for empty in ["", "# nothing\n", "{}", "nodeLabelers: []\n"] {
        let configured = with(empty, &[]).unwrap_or_else(|said| panic!("{empty:?}: {said}"));
        assert_eq!(Said(&configured.settings).to_string().replace("nodeLabelers= (file)", ""), "", "{empty:?}");
    }
}

#[test]
fn what_is_wrong_in_the_file_is_named_with_what_would_be_right() {
    let keys = "there are apiServers, grants, lease.duration";
    let table: [(&str, &[&str]); 27] = [
        ("grants: warn\nprobeEvry: 30s", &["line 2", "there is no key probeEvry", keys]),
        ("lease:\n  duration: 15s\n  renew: 2s", &["line 3", "there is no key lease.renew;", keys]),
        ("instance: a", &["line 1", "instance", "every replica needs its own: give it as POD_NAME or --instance"]),
        ("kubeconfig: a", &["line 1", "kubeconfig", "KUBECONFIG"]),
        ("\nprobeEvery: 30", &["line 2", "probeEvery", "\"30\"", "write a length of time such as 30s or 5m"]),
        ("probeEvery: 1ms", &["line 1", "probeEvery", "from 1s to 2160h"]),
        ("webhook: {certificates: 999999999h}", &["line 1", "webhook.certificates", "from 1s to 2160h"]),
        ("\nwebhook: {url: 'http://192.0.2.1:9443'}", &["line 2", "webhook.url", "https://192.0.2.1:9443"]),
        ("webhook: {url: 'https//192.0.2.1'}", &["line 1", "webhook.url", "https://192.0.2.1:9443"]),
        ("webhook: {url: '192.0.2.1:9443'}", &["line 1", "webhook.url", "https://192.0.2.1:9443"]),
        ("webhook: {url: 'https://joe@192.0.2.1'}", &["line 1", "webhook.url", "without user"]),
        ("grants: maybe", &["line 1", "grants", "\"maybe\"", "write one of off, warn, enforce"]),
        ("log:\n  format: yaml", &["line 2", "log.format", "write one of text, json"]),
        ("log: {level: debgu}", &["line 1", "log.level", "\"debgu\" is no level", "info,rempart::cluster=debug"]),
        ("listen: localhost", &["line 1", "listen", "127.0.0.1:8080, or none"]),
        ("apiServers:\n- https://192.0.2.1:6443\n- 192.0.2.2", &["line 3", "apiServers", "https://192.0.2.1:6443"]),
        ("apiServers: [https://192.0.2.1, http://192.0.2.1]", &["line 1", "apiServers", "http is for this machine alone"]),
        ("apiServers: https://192.0.2.1", &["line 1", "apiServers takes a list"]),
        ("nodeLabelers: {joe: true}", &["line 1", "nodeLabelers takes a list"]),
        ("grants: [warn]", &["line 1", "grants takes one value"]),
        ("grants: {warn: true}", &["line 1", "grants takes one value"]),
        ("grants:", &["line 1", "grants takes one value"]),
        ("lease: 15s", &["line 1", "lease takes keys and values"]),
        ("lease: {duration: 15s, duration: 20s}", &["line 1", "duplicate key duration: leave one of them"]),
        ("grants: warn\nlog: {level: info}\ngrants: off", &["line 3", "duplicate key grants: leave one of them"]),
        ("- grants", &["line 1", "mapping"]),
        ("lease: {duration: 15s, renewWithin: 20s}", &["lease.duration, lease.renewWithin, lease.renewEvery", "longer than"]),
    ];
    for (file, says) in table {
        let said = with(file, &[]).map(|configured| Said(&configured.settings).to_string()).expect_err(file);
        for says in says {
            assert!(said.contains(says), "{file:?}: {said}");
        }
        assert!(said.starts_with("c.yaml: ") || says[0].starts_with("lease."), "{file:?}: {said}");
    }
    let here = ["http://127.0.0.1:8001", "http://[::1]:8001", "http://localhost:8001", "https://192.0.2.1"];
    assert_eq!(
        with(&format!("apiServers: [{}]", here.map(|url| format!("{url:?}")).join(", ")), &[]).unwrap().settings["apiServers"].values,
        here
    );
    for url in ["https://192.0.2.1:9443", "https://[::1]:9443/", "https://guard.example.com/below"] {
        assert_eq!(with(&format!("webhook: {{url: {url:?}}}"), &[]).unwrap().settings["webhook.url"].values, [url]);
    }
    for broken in ["grants: 'warn", "grants: warn\n---\ngrants: off", "a: b: c", "grants: \"\0\""] {
        let said = with(broken, &[]).map(|_| ()).expect_err(broken);
        assert!(said.starts_with("c.yaml: ") && said.contains("line "), "{broken:?}: {said}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let line = ["rempart", "run", "--config", "c.yaml"].map(OsString::from);
    let refused = configured(&line, |_| Err(Error::from(ErrorKind::PermissionDenied))).map(|_| ()).unwrap_err().to_string();
    assert_eq!(refused, "c.yaml: it cannot be read: permission denied; correct --config or REMPART_CONFIG");
}
