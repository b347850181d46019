//! What is wrong with an object, all of it, and what to write instead.

use super::*;

#[test]
fn every_problem_of_a_cloud_is_reported_at_once() {
    let spec = cloud(
        r#"
operator: {legalName: x, registeredOffice: UK, ultimateParent: {legalName: y, country: EU}, nonEuropeanOwnership: {largestPercent: "40", totalPercent: "39"}}
locations: {storage: [FR, XX], support: [zz]}
registerMaxAge: 5w
warnBefore: 0d
timeZone: Europe/Pari
reliesOn: [{cloud: temple-iass, layer: IaaS}]"#,
    );
    let register = register(&[("c", spec), ("temple-iaas", cloud(""))], &[("l", level("{}"))]);
    assert_eq!(
        said(register.cloud_problems("c")),
        [
            r#"spec.operator.registeredOffice: "UK" is not a country: write GB"#,
            r#"spec.operator.ultimateParent.country: "EU" is not a country: a fact about a cloud names countries, one by one"#,
            r#"spec.locations.storage[1]: "XX" is not a country: write a code of ISO 3166-1 alpha-2, such as FR"#,
            r#"spec.locations.support[0]: "zz" is not a country: write a code of ISO 3166-1 alpha-2, such as FR"#,
            "spec.operator.nonEuropeanOwnership.totalPercent: the largest holder (40%) cannot hold more than all of them together (39%): correct one of the two",
            r#"spec.registerMaxAge: "5w" is not a length of time: write a number from 1 to 99999 and m, h or d, such as 90d"#,
            r#"spec.warnBefore: "0d" is not a length of time: write a number from 1 to 99999 and m, h or d, such as 90d"#,
            r#"spec.timeZone: "Europe/Pari" is not a time zone (did you mean Europe/Paris?): write an IANA name such as Europe/Paris"#,
            "spec.reliesOn[0].cloud: there is no TrustedCloud temple-iass (did you mean temple-iaas?): create it, or correct the name",
        ]
    );
    let standing = &register.assess(instant("2026-11-25T00:00:00Z")).clouds["c"];
    let unmet = &standing.lacks("l")[0];
    assert_eq!((unmet.requirement, unmet.required.as_str()), ("cloud", "a cloud without problems"));
    assert_eq!(unmet.found, r#"spec.operator.registeredOffice: "UK" is not a country: write GB"#);
    assert_eq!(standing.next_change, None);
}

#[test]
fn dates_that_cannot_be_are_reported() {
    for (qualification, problems) in [
        (
            "scheme: hds",
            vec![
                "validFrom: is missing: copy it from the decision, or set milestone while there is none",
                "validUntil: is missing: copy it from the decision, or set milestone while there is none",
            ],
        ),
        (
            r#"scheme: hds, validFrom: "2026-01-02", validUntil: "2026-01-01""#,
            vec!["validUntil: 2026-01-01 lies before validFrom 2026-01-02: copy both dates from the decision"],
        ),
        (
            r#"scheme: hds, validFrom: "2026-01-02", validUntil: "2026-01-02", events: [{type: Withdrawn, effectiveAt: "2026-01-01T00:00:00Z"},
               {type: Renewed, effectiveAt: "2026-01-01T00:00:00Z"}, {type: Renewed, effectiveAt: "2026-01-01T00:00:00Z", validUntil: "2025-01-01"}]"#,
            vec![
                "events[1].validUntil: is missing: a Renewed event needs it, copied from the new decision",
                "events[2].validUntil: 2025-01-01 lies before validFrom 2026-01-02: copy both dates from the decision",
            ],
        ),
        ("scheme: hds, milestone: J0", vec![]),
    ] {
        let register = register(&[("c", cloud(&format!("qualifications: [{{scheme: own, milestone: J0}}, {{{qualification}}}]")))], &[]);
        let problems: Vec<String> = problems.into_iter().map(|problem| format!("spec.qualifications[1].{problem}")).collect();
        assert_eq!(said(register.cloud_problems("c")), problems, "{qualification}");
    }
}

#[test]
fn clouds_cannot_rely_on_each_other_in_a_circle() {
    let on = |layer: &str| cloud(&format!("reliesOn: [{{cloud: {layer}, layer: IaaS}}]\nlocations: {{storage: [FR]}}"));
    let clouds = [("a", on("b")), ("b", on("a")), ("c", on("a")), ("self", on("self"))];
    let register = register(&clouds, &[("l", level("{locations: {storage: [FR]}}"))]);
    let circle = |way: &str| format!("spec.reliesOn: clouds cannot rely on each other in a circle ({way}): remove one of the steps");
    assert_eq!(said(register.cloud_problems("a")), [circle("a -> b -> a")]);
    assert_eq!(said(register.cloud_problems("b")), [circle("b -> a -> b")]);
    assert_eq!(said(register.cloud_problems("self")), [circle("self -> self")]);
    assert!(register.cloud_problems("c").is_empty());
    assert_eq!(
        said(register.cloud_warnings("c")),
        ["spec.reliesOn[0].cloud: a has problems, so nothing is known of it and no qualification of this cloud counts: correct a"]
    );
    assert_eq!(register.assess(instant("2026-11-25T00:00:00Z")).satisfying("l").count(), 0);
}

#[test]
fn every_problem_of_a_level_is_reported_at_once() {
    let spec: SensitivityLevelSpec = read(
        r#"
extends: [intrene]
requires:
  qualifications: [{allOf: []}]
  operator: {seatsIn: [UE]}
  nonEuropeanOwnership: {largestPercent: "24,5", maximumAge: 1y}
  locations: {storage: [EU, UK]}"#,
    );
    let register = register(&[("c", cloud(""))], &[("l", spec), ("interne", level("{}"))]);
    assert_eq!(
        said(register.level_problems("l")),
        [
            "spec.requires.qualifications[0].allOf: is empty, which every cloud satisfies: name a scheme, or remove the entry",
            r#"spec.requires.operator.seatsIn[0]: "UE" is not a country: write a code of ISO 3166-1 alpha-2, such as FR, EU or EEA"#,
            r#"spec.requires.locations.storage[1]: "UK" is not a country: write GB, EU or EEA"#,
            r#"spec.requires.nonEuropeanOwnership.largestPercent: "24,5" is not a percentage: write a number from 0 to 100 with at most four decimals, such as "39.5""#,
            r#"spec.requires.nonEuropeanOwnership.maximumAge: "1y" is not a length of time: write a number from 1 to 99999 and m, h or d, such as 90d"#,
            "spec.extends[0]: there is no SensitivityLevel intrene (did you mean interne?): create it, or correct the name",
        ]
    );
    let unmet = register.assess(instant("2026-11-25T00:00:00Z")).clouds["c"].lacks("l")[0].clone();
    assert_eq!((unmet.requirement, unmet.required.as_str()), ("level", "a level without problems"));
}

#[test]
fn a_level_that_extends_one_with_problems_has_a_problem() {
    let extends = |names: &str| read::<SensitivityLevelSpec>(&format!("extends: [{names}]"));
    let levels = [("a", extends("b")), ("b", extends("a")), ("c", extends("a")), ("d", extends("c"))];
    let register = register(&[("x", cloud(""))], &levels);
    assert_eq!(
        said(register.level_problems("a")),
        ["spec.extends: levels cannot extend each other in a circle (a -> b -> a): remove one of the steps",]
    );
    assert_eq!(
        said(register.level_problems("b")),
        ["spec.extends: levels cannot extend each other in a circle (b -> a -> b): remove one of the steps"]
    );
    assert_eq!(said(register.level_problems("c")), ["spec.extends[0]: a has problems, so what it requires is not known: correct a"]);
    assert_eq!(said(register.level_problems("d")), ["spec.extends[0]: c has problems, so what it requires is not known: correct c"]);
    let assessment = register.assess(instant("2026-11-25T00:00:00Z"));
    assert!(assessment.clouds["x"].levels.values().all(Result::is_err));
}

#[test]
fn what_is_allowed_but_odd_is_a_warning() {
    let c = cloud(
        r#"reliesOn: [{cloud: below, layer: PaaS}]
qualifications:
- {scheme: eucs, validFrom: "2025-01-01", validUntil: "2028-01-01"}
- {scheme: cada-ual, milestone: J0}
- {scheme: secnumclud, milestone: J1, validFrom: "2026-01-01"}
- {scheme: secnumcloud, milestone: J1}"#,
    );
    let l = level(
        "{qualifications: [{allOf: [{scheme: iso27001}]}, {allOf: [{scheme: iso27001}, {scheme: our-own}]}, {allOf: [{scheme: eucs}]}]}",
    );
    let register = register(&[("c", c), ("below", cloud(""))], &[("l", l)]);
    assert!(register.cloud_problems("c").is_empty() && register.level_problems("l").is_empty());
    assert_eq!(
        said(register.cloud_warnings("c")),
        [
            "spec.qualifications[0].scheme: eucs is a draft: it satisfies nothing until it is in force",
            "spec.qualifications[1].scheme: cada-ual is a proposal: it satisfies nothing until it is in force",
            "spec.qualifications[2].scheme: secnumclud is not a scheme that Rempart knows (did you mean secnumcloud?): right if it is your own",
            "spec.qualifications[2].milestone: makes this a candidate, whose dates do not count: remove it once there is a decision",
            "spec.reliesOn[0].layer: below offers IaaS, not PaaS: name the cloud that gives this layer, or correct one of the two",
        ]
    );
    assert_eq!(
        said(register.level_warnings("l")),
        [
            "spec.requires.qualifications[0].allOf: iso27001 alone says how security is managed, nothing about sovereignty: require seats, parent and locations as well",
            "spec.requires.qualifications[1].allOf[1].scheme: our-own is not a scheme that Rempart knows: right if it is your own",
            "spec.requires.qualifications[2].allOf[0].scheme: eucs is not in force: no cloud satisfies this alternative until it is",
        ]
    );
}

#[test]
fn a_name_that_is_not_there_has_no_problems() {
    let register = register(&[], &[]);
    assert!(register.cloud_problems("x").is_empty() && register.cloud_warnings("x").is_empty());
    assert!(register.level_problems("x").is_empty() && register.level_warnings("x").is_empty() && register.contradictions("x").is_empty());
    assert_eq!(register.assess(instant("2026-11-25T00:00:00Z")).next_change(), None);
}

/// The schema says the same; what is stored may be older than the schema.
#[test]
fn a_level_says_how_long_it_is_accepted_unattended_or_has_a_problem() {
    let found = |text: &str| {
        let spec: SensitivityLevelSpec = read(&format!("unattendedFor: {text:?}"));
        said(register(&[], &[("l", spec)]).level_problems("l"))
    };
    for text in ["1m", "72h", "30d", "720h", "43200m"] {
        assert!(found(text).is_empty(), "{text}");
    }
    for text in ["", "5", "+5m", "-1h", "0m", "05m", "1w", "4h30m"] {
        let expected =
            format!("spec.unattendedFor: {text:?} is not a length of time: write a number from 1 to 99999 and m, h or d, such as 90d");
        assert_eq!(found(text), [expected]);
    }
    for text in ["31d", "721h", "43201m", "99999d"] {
        assert_eq!(found(text), [format!("spec.unattendedFor: {text} is more than 30d: write a length from 1m to 30d")]);
    }
}
