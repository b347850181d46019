//! The presets and sample clouds under `examples/`: all can be read, none has a problem, and what they come to is known.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use regex::Regex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::{SensitivityLevel, TrustedCloud};

use super::*;

struct Examples {
    clouds: BTreeMap<String, TrustedCloud>,
    levels: BTreeMap<String, SensitivityLevel>,
}

impl Examples {
    fn read() -> Self {
        Self { clouds: folder("clouds"), levels: folder("levels") }
    }

    fn register(&self) -> Register {
        Register::new(
            self.clouds.iter().map(|(name, cloud)| (name.as_str(), &cloud.spec)),
            self.levels.iter().map(|(name, level)| (name.as_str(), &level.spec)),
        )
    }
}

/// Every file of a folder by its name, which is that of the object too.
fn folder<K: DeserializeOwned + Serialize>(folder: &str) -> BTreeMap<String, K> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(folder);
    let files = std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
    files.map(|file| (file.file_stem().unwrap().to_str().unwrap().to_owned(), parsed(&file))).collect()
}

fn parsed<K: DeserializeOwned + Serialize>(file: &Path) -> K {
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.starts_with("# Sample, inert until adopted; not legal advice.\n"), "{file:?}");
    let written: Value = read(&text);
    assert_eq!(written["metadata"]["name"].as_str(), file.file_stem().unwrap().to_str(), "{file:?}");
    let object: K = read(&text);
    assert_kept(&written, &serde_json::to_value(&object).unwrap(), &file.display().to_string());
    object
}

/// Everything that is written in a file must be a field of ours: the API server drops what it does not know.
fn assert_kept(written: &Value, kept: &Value, path: &str) {
    match (written, kept) {
        (Value::Object(written), Value::Object(kept)) => {
            for (key, value) in written {
                assert!(kept.contains_key(key), "{path}.{key} is not a field");
                assert_kept(value, &kept[key], &format!("{path}.{key}"));
            }
        }
        (Value::Array(written), Value::Array(kept)) => {
            assert_eq!(written.len(), kept.len(), "{path}");
            written.iter().zip(kept).for_each(|(written, kept)| assert_kept(written, kept, path));
        }
        _ => assert_eq!(written, kept, "{path}"),
    }
}

#[test]
fn no_example_has_a_problem() {
    let examples = Examples::read();
    let register = examples.register();
    for name in examples.clouds.keys() {
        assert_eq!(said(register.cloud_problems(name)), Vec::<String>::new(), "{name}");
        assert_eq!(said(register.cloud_warnings(name)), Vec::<String>::new(), "{name}");
    }
    for (name, level) in &examples.levels {
        assert_eq!(said(register.level_problems(name)), Vec::<String>::new(), "{name}");
        assert_eq!(said(register.contradictions(name)), Vec::<String>::new(), "{name}");
        assert_eq!(register.level_warnings(name).len(), usize::from(name == "confidentiel"), "{name}");
        assert!(["en", "fr"].iter().all(|language| level.spec.display_name.contains_key(*language)), "{name}");
    }
}

#[test]
fn the_presets_are_those_of_the_catalogue() {
    let names: Vec<String> = Examples::read().levels.into_keys().collect();
    assert_eq!(
        names.join(" "),
        "confidentiel de-c5-c3a diffusion-restreinte donnees-personnelles es-ens-alta interne it-qc3 public restreint sante-etat sante-hds \
         sren-art31 strategique"
    );
}

#[test]
fn dates_and_decisions_are_those_of_the_catalogue() {
    let clouds = Examples::read().clouds;
    let mut rows = String::new();
    for (name, cloud) in clouds.iter().filter(|(name, _)| !["aws-paris", "on-premises"].contains(&name.as_str())) {
        let [qualification] = &cloud.spec.qualifications[..] else { panic!("{name}") };
        let day = |day: Option<jiff::civil::Date>| day.map_or_else(|| "-".to_owned(), |day| day.to_string());
        let covers = qualification.covers.iter().flat_map(|scope| &scope.models).map(ToString::to_string).collect::<Vec<_>>().join(",");
        let decision = qualification.decision.as_deref().unwrap_or("-");
        let (from, until) = (day(qualification.valid_from), day(qualification.valid_until));
        writeln!(rows, "{} | {covers} | {from} | {until} | {decision}", cloud.spec.offering.service).unwrap();
    }
    insta::assert_snapshot!(rows, @r"
    Bleu |  | - | - | -
    CegNumCloud Secured IaaS | IaaS | 2024-12-04 | 2027-12-04 | 1951
    Plateforme des services cloud | IaaS | 2026-07-31 | 2029-07-31 | 3395
    Cloud Avenue SecNum | IaaS | 2025-07-11 | 2028-07-11 | 1147
    IaaS Cloud on Demand | IaaS | 2023-11-30 | 2026-11-30 | 2118
    Bare Metal Pod | IaaS | 2025-03-24 | 2028-03-24 | 559
    Hosted Private Cloud (VMware) | IaaS | 2023-12-28 | 2026-12-29 | 2279
    SNC Cloud Platform | IaaS | 2026-07-31 | 2029-07-31 | 3393
    Cloud de confiance | IaaS,CaaS,PaaS | 2025-12-17 | 2028-12-17 | 2057
    IaaS Secure Temple | IaaS | 2026-07-31 | 2028-05-30 | 3389
    PaaS OpenShift | PaaS | 2025-05-30 | 2028-05-30 | 919
    Cloud Services Secured IaaS | IaaS | 2025-03-24 | 2028-03-31 | -
    ");
}

#[test]
fn a_node_belongs_to_one_sample_cloud() {
    let clouds = Examples::read().clouds;
    let patterns =
        |cloud: &TrustedCloud| -> Vec<String> { cloud.spec.nodes.iter().filter_map(|entry| entry.provider_id.clone()).collect() };
    let matchers: Vec<(&String, Regex)> = clouds
        .iter()
        .flat_map(|(name, cloud)| patterns(cloud).into_iter().map(move |pattern| (name, Regex::new(&format!("^(?:{pattern})$")).unwrap())))
        .collect();
    let set = Regex::new(r"\[.*?\]\??").unwrap();
    for (name, cloud) in &clouds {
        assert_eq!(patterns(cloud).len(), 2, "{name}");
        assert!(patterns(cloud).contains(&format!("kwok://{name}/.*")), "{name}");
        for id in patterns(cloud).iter().map(|pattern| set.replace_all(pattern, "a").replace(".*", "node-1")) {
            let owners: Vec<&String> = matchers.iter().filter(|(_, matcher)| matcher.is_match(&id)).map(|(name, _)| *name).collect();
            assert_eq!(owners, [name], "{id}");
        }
    }
}

/// One row per cloud: best qualification, and the levels that it satisfies.
fn outcome(now: &str) -> String {
    let assessment = Examples::read().register().assess(instant(now));
    let mut rows = String::new();
    for (name, standing) in &assessment.clouds {
        let best = standing.best().map_or_else(String::new, |best| format!("{}: {}", best.name(), best.words));
        let levels: Vec<&str> = standing.levels.iter().filter(|(_, result)| result.is_ok()).map(|(level, _)| level.as_str()).collect();
        writeln!(rows, "{name} | {best} | {}", levels.join(" ")).unwrap();
    }
    rows
}

#[test]
fn which_cloud_satisfies_which_level_in_november_2026() {
    insta::assert_snapshot!(outcome("2026-11-25T12:00:00Z"), @r"
    aws-paris | hds 2: Valid until 2028-10-31 | confidentiel donnees-personnelles interne public sante-hds
    bleu | secnumcloud 3.2: Candidate (J1), there is no decision | donnees-personnelles interne public
    cegedim | secnumcloud 3.2: Valid until 2027-12-04 | confidentiel donnees-personnelles interne public restreint sren-art31
    numspot | secnumcloud 3.2: Valid until 2029-07-31 | confidentiel donnees-personnelles interne public restreint sren-art31
    on-premises | on-premises: Valid until 2028-12-31 | confidentiel donnees-personnelles interne public restreint strategique
    orange-cloud-avenue | secnumcloud 3.2: Valid until 2028-07-11 | confidentiel donnees-personnelles interne public restreint sren-art31
    outscale | secnumcloud 3.2: Expiring until 2026-11-30 | confidentiel donnees-personnelles interne public restreint sren-art31
    ovh-bare-metal-pod | secnumcloud 3.2: Valid until 2028-03-24 | confidentiel donnees-personnelles interne public restreint sren-art31 strategique
    ovh-hosted-private-cloud | secnumcloud 3.2: Expiring until 2026-12-29 | confidentiel donnees-personnelles interne public restreint sren-art31
    ovh-snc | secnumcloud 3.2: Valid until 2029-07-31 | confidentiel donnees-personnelles interne public restreint sren-art31
    s3ns | secnumcloud 3.2: Valid until 2028-12-17 | confidentiel donnees-personnelles interne public restreint sren-art31
    temple-iaas | secnumcloud 3.2: Valid until 2028-05-30 | confidentiel donnees-personnelles interne public restreint sren-art31
    temple-openshift | secnumcloud 3.2: Valid until 2028-05-30 | confidentiel donnees-personnelles interne public restreint sren-art31
    worldline | secnumcloud 3.2: Valid until 2028-03-31 | confidentiel donnees-personnelles interne public restreint sren-art31
    ");
}

#[test]
fn which_cloud_satisfies_which_level_in_january_2027() {
    insta::assert_snapshot!(outcome("2027-01-15T12:00:00Z"), @r"
    aws-paris | hds 2: Valid until 2028-10-31 | confidentiel donnees-personnelles interne public sante-hds
    bleu | secnumcloud 3.2: Candidate (J1), there is no decision | donnees-personnelles interne public
    cegedim | secnumcloud 3.2: Valid until 2027-12-04 | confidentiel donnees-personnelles interne public restreint sren-art31
    numspot | secnumcloud 3.2: Valid until 2029-07-31 | confidentiel donnees-personnelles interne public restreint sren-art31
    on-premises | on-premises: Valid until 2028-12-31 | confidentiel donnees-personnelles interne public restreint strategique
    orange-cloud-avenue | secnumcloud 3.2: Valid until 2028-07-11 | confidentiel donnees-personnelles interne public restreint sren-art31
    outscale | secnumcloud 3.2: Expired after 2026-11-30 | donnees-personnelles interne public
    ovh-bare-metal-pod | secnumcloud 3.2: Valid until 2028-03-24 | confidentiel donnees-personnelles interne public restreint sren-art31 strategique
    ovh-hosted-private-cloud | secnumcloud 3.2: Expired after 2026-12-29 | donnees-personnelles interne public
    ovh-snc | secnumcloud 3.2: Valid until 2029-07-31 | confidentiel donnees-personnelles interne public restreint sren-art31
    s3ns | secnumcloud 3.2: Valid until 2028-12-17 | confidentiel donnees-personnelles interne public restreint sren-art31
    temple-iaas | secnumcloud 3.2: Valid until 2028-05-30 | confidentiel donnees-personnelles interne public restreint sren-art31
    temple-openshift | secnumcloud 3.2: Valid until 2028-05-30 | confidentiel donnees-personnelles interne public restreint sren-art31
    worldline | secnumcloud 3.2: Valid until 2028-03-31 | confidentiel donnees-personnelles interne public restreint sren-art31
    ");
}

#[test]
fn why_a_foreign_cloud_is_not_for_restricted_data() {
    let assessment = Examples::read().register().assess(instant("2026-11-25T12:00:00Z"));
    let unmet = assessment.clouds["aws-paris"].lacks("restreint").iter();
    let lines: Vec<String> = unmet.map(|unmet| format!("{}: {}, {} required", unmet.requirement, unmet.found, unmet.required)).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    qualifications: no secnumcloud or on-premises qualification, secnumcloud >= 3.2, or on-premises required
    operator.seatsIn: registeredOffice unknown, centralAdministration unknown, principalEstablishment unknown, EU required
    nonEuropeanOwnership.largestPercent: unknown, at most 24% required
    nonEuropeanOwnership.totalPercent: unknown, at most 39% required
    nonEuropeanOwnership.veto: unknown, None required
    ");
}

#[test]
fn the_samples_end_when_their_decisions_do() {
    let assessment = Examples::read().register().assess(instant("2026-11-25T12:00:00Z"));
    let until =
        |cloud: &str| assessment.clouds[cloud].satisfies("restreint").and_then(|satisfied| satisfied.until).map(|until| until.to_string());
    assert_eq!(until("outscale").as_deref(), Some("2026-11-30T23:00:00Z"));
    assert_eq!(until("ovh-hosted-private-cloud").as_deref(), Some("2026-12-29T23:00:00Z"));
    assert_eq!(until("temple-openshift").as_deref(), Some("2028-05-30T22:00:00Z"));
    assert_eq!(assessment.next_change(), Some(instant("2026-11-30T23:00:00Z")));
}

#[test]
fn twenty_clouds_and_fifteen_levels_take_no_time() {
    let mut examples = Examples::read();
    for copy in 0..6 {
        let mut cloud = examples.clouds["temple-openshift"].clone();
        cloud.metadata.name = Some(format!("copy-{copy}"));
        examples.clouds.insert(format!("copy-{copy}"), cloud);
    }
    for copy in 0..2 {
        examples.levels.insert(format!("copy-{copy}"), examples.levels["strategique"].clone());
    }
    assert_eq!((examples.clouds.len(), examples.levels.len()), (20, 15));
    let register = examples.register();
    let fastest = (0..5)
        .map(|_| {
            let start = Instant::now();
            assert_eq!(register.assess(instant("2026-11-25T12:00:00Z")).clouds.len(), 20);
            start.elapsed()
        })
        .min();
    // Unoptimised and on a shared machine; with optimisation it takes half a millisecond.
    assert!(fastest < Some(Duration::from_millis(50)), "{fastest:?}");
    println!("assess: {fastest:?}");
}
