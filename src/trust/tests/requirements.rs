//! Each requirement: what passes, what does not, and what is said.

use super::*;

const NOW: &str = "2026-11-25T00:00:00Z";

/// Each row: what a cloud says, what a level requires, and what is lacking (nothing: it passes).
fn table(rows: &[(&str, &str, &str)]) {
    for (facts, requires, lacking) in rows {
        assert_eq!(lacks(&[("c", cloud(facts))], requires, NOW).join(" | "), *lacking, "{facts} for {requires}");
    }
}

#[test]
fn a_level_that_requires_nothing_admits_every_cloud() {
    table(&[("", "{}", ""), ("locations: {storage: [KP]}", "{}", "")]);
}

#[test]
fn every_country_that_a_cloud_names_must_be_allowed() {
    table(&[
        ("locations: {storage: [FR]}", "{locations: {storage: [EU]}}", ""),
        ("locations: {storage: [FR, DE]}", "{locations: {storage: [EU]}}", ""),
        ("locations: {storage: [NO]}", "{locations: {storage: [EEA]}}", ""),
        ("locations: {storage: [NO]}", "{locations: {storage: [EU]}}", "locations.storage: NO, not EU"),
        ("locations: {storage: [CH]}", "{locations: {storage: [EEA, CH]}}", ""),
        ("locations: {storage: [US, FR, GB]}", "{locations: {storage: [EU]}}", "locations.storage: GB, US, not EU"),
        ("locations: {storage: []}", "{locations: {storage: [EU]}}", "locations.storage: unknown, not EU"),
        ("", "{locations: {storage: [EU]}}", "locations.storage: unknown, not EU"),
        ("locations: {storage: [FR]}", "{locations: {storage: []}}", ""),
        (
            "locations: {storage: [FR]}",
            "{locations: {processing: [FR], backup: [FR], technicalData: [FR], administration: [FR], supervision: [FR], support: [FR, DE]}}",
            "locations.processing: unknown, not FR | locations.backup: unknown, not FR | locations.technicalData: unknown, not FR | \
             locations.administration: unknown, not FR | locations.supervision: unknown, not FR | locations.support: unknown, not DE, FR",
        ),
    ]);
}

#[test]
fn all_three_seats_and_the_parent_are_asked_for() {
    let seats = "operator: {legalName: x, registeredOffice: FR, centralAdministration: FR, principalEstablishment: US}";
    table(&[
        (
            "operator: {legalName: x, registeredOffice: FR, centralAdministration: DE, principalEstablishment: IE}",
            "{operator: {seatsIn: [EU]}}",
            "",
        ),
        (seats, "{operator: {seatsIn: [EU]}}", "operator.seatsIn: principalEstablishment US, not EU"),
        (
            "operator: {legalName: x, registeredOffice: FR}",
            "{operator: {seatsIn: [EU]}}",
            "operator.seatsIn: centralAdministration unknown, principalEstablishment unknown, not EU",
        ),
        (
            "",
            "{operator: {seatsIn: [FR], parentIn: [EU]}}",
            "operator.seatsIn: registeredOffice unknown, centralAdministration unknown, principalEstablishment unknown, not FR | \
             operator.parentIn: unknown, not EU",
        ),
        (
            "operator: {legalName: x, ultimateParent: {legalName: y, country: US}}",
            "{operator: {parentIn: [EEA]}}",
            "operator.parentIn: US, not EEA",
        ),
        ("operator: {legalName: x, ultimateParent: {legalName: y, country: SE}}", "{operator: {parentIn: [EEA]}}", ""),
    ]);
}

#[test]
fn ownership_is_compared_exactly() {
    let owned = |figures: &str| format!("operator: {{legalName: x, nonEuropeanOwnership: {{{figures}}}}}");
    for (figures, requires, lacking) in [
        (r#"largestPercent: "24", totalPercent: "39""#, r#"largestPercent: "24.0", totalPercent: "39""#, ""),
        (r#"largestPercent: "24.0001""#, r#"largestPercent: "24""#, "nonEuropeanOwnership.largestPercent: 24.0001%, not at most 24%"),
        (r#"totalPercent: "39.5""#, r#"totalPercent: "39""#, "nonEuropeanOwnership.totalPercent: 39.5%, not at most 39%"),
        ("", r#"totalPercent: "100""#, "nonEuropeanOwnership.totalPercent: unknown, not at most 100%"),
        ("veto: None", "veto: None", ""),
        ("veto: Held", "veto: None", "nonEuropeanOwnership.veto: Held, not None"),
        ("", "veto: None", "nonEuropeanOwnership.veto: unknown, not None"),
        ("veto: Held", "veto: Held", ""),
        ("veto: None", "veto: Held", ""),
        ("", "veto: Held", "nonEuropeanOwnership.veto: unknown, not known"),
        (r#"asOf: "2026-11-24""#, "maximumAge: 61m", ""),
        (r#"asOf: "2026-11-24""#, "maximumAge: 60m", "nonEuropeanOwnership.maximumAge: 2026-11-24, not figures at most 1h old"),
        (r#"asOf: "2026-11-26""#, "maximumAge: 365d", "nonEuropeanOwnership.maximumAge: 2026-11-26, not figures at most 365d old"),
        ("", "maximumAge: 365d", "nonEuropeanOwnership.maximumAge: unknown, not figures at most 365d old"),
        (r#"asOf: "0001-01-01""#, "maximumAge: 99999d", "nonEuropeanOwnership.maximumAge: 0001-01-01, not figures at most 99999d old"),
        (r#"asOf: "9999-12-31""#, "maximumAge: 99999d", "nonEuropeanOwnership.maximumAge: 9999-12-31, not figures at most 99999d old"),
    ] {
        table(&[(&owned(figures), &format!("{{nonEuropeanOwnership: {{{requires}}}}}"), lacking)]);
    }
}

#[test]
fn custody_and_isolation_have_an_order() {
    table(&[
        ("keyCustody: HoldYourOwnKey", "{keyCustody: ExternalKms}", ""),
        ("keyCustody: ExternalKms", "{keyCustody: ExternalKms}", ""),
        ("keyCustody: CustomerManaged", "{keyCustody: ExternalKms}", "keyCustody: CustomerManaged, not ExternalKms"),
        ("", "{keyCustody: ProviderManaged}", "keyCustody: unknown, not ProviderManaged"),
        ("isolation: DedicatedZone", "{isolation: DedicatedHost}", ""),
        ("isolation: SharedVirtual", "{isolation: DedicatedHost}", "isolation: SharedVirtual, not DedicatedHost"),
        ("", "{isolation: SharedVirtual}", "isolation: unknown, not SharedVirtual"),
    ]);
}

#[test]
fn qualifications_count_by_scheme_version_levels_and_state() {
    let held = |text: &str| {
        let one = |written: &str| format!("{{{written}, validFrom: \"2025-01-01\", validUntil: \"2028-01-01\"}}");
        format!("qualifications: [{}]", text.split("; ").filter(|text| !text.is_empty()).map(one).collect::<Vec<_>>().join(", "))
    };
    for (qualifications, alternatives, lacking) in [
        ("scheme: secnumcloud, version: '3.2'", "[{allOf: [{scheme: secnumcloud, minimumVersion: '3.2'}]}]", ""),
        ("scheme: secnumcloud, version: '3.10'", "[{allOf: [{scheme: secnumcloud, minimumVersion: '3.2'}]}]", ""),
        (
            "scheme: secnumcloud, version: '3.1'",
            "[{allOf: [{scheme: secnumcloud, minimumVersion: '3.2'}]}]",
            "secnumcloud 3.1, not secnumcloud >= 3.2",
        ),
        ("scheme: secnumcloud", "[{allOf: [{scheme: secnumcloud, minimumVersion: '3.2'}]}]", "secnumcloud, not secnumcloud >= 3.2"),
        (
            "",
            "[{allOf: [{scheme: secnumcloud, minimumVersion: '3.2'}]}, {allOf: [{scheme: on-premises}]}]",
            "no secnumcloud or on-premises qualification, not secnumcloud >= 3.2, or on-premises",
        ),
        ("scheme: on-premises", "[{allOf: [{scheme: secnumcloud}]}, {allOf: [{scheme: on-premises}]}]", ""),
        ("scheme: c5, version: '2020', levels: [type2]", "[{allOf: [{scheme: c5, levels: [type2]}]}]", ""),
        ("scheme: c5, version: '2020', levels: [type1]", "[{allOf: [{scheme: c5, levels: [type2]}]}]", "c5 2020 (type1), not c5 (type2)"),
        ("scheme: hds, levels: ['1', '2']", "[{allOf: [{scheme: hds, levels: ['2', '1']}]}]", ""),
        ("scheme: hds, levels: ['1', '2']", "[{allOf: [{scheme: hds, levels: ['2', '3']}]}]", "hds (1, 2), not hds (2, 3)"),
        // Each member may be satisfied by another qualification, but one member by one only.
        (
            "scheme: hds, levels: ['1']; scheme: hds, levels: ['2']",
            "[{allOf: [{scheme: hds, levels: ['1']}, {scheme: hds, levels: ['2']}]}]",
            "",
        ),
        (
            "scheme: hds, levels: ['1']; scheme: hds, levels: ['2']",
            "[{allOf: [{scheme: hds, levels: ['1', '2']}]}]",
            "hds (1); hds (2), not hds (1, 2)",
        ),
        ("scheme: ens, version: 311/2022, levels: [alta]", "[{allOf: [{scheme: ens, minimumVersion: 311/2022, levels: [alta]}]}]", ""),
        (
            "scheme: ens, version: 3/2010",
            "[{allOf: [{scheme: ens, minimumVersion: 311/2022, levels: [alta]}]}]",
            "ens 3/2010, not ens = 311/2022 (alta)",
        ),
        ("scheme: hds", "[{allOf: [{scheme: hds}, {scheme: secnumcloud}]}]", "no secnumcloud qualification, not hds and secnumcloud"),
        ("scheme: eucs", "[{allOf: [{scheme: eucs}]}]", "eucs: the scheme is not in force, not eucs"),
        ("scheme: cada-ual", "[{allOf: [{scheme: cada-ual}]}]", "cada-ual: the scheme is not in force, not cada-ual"),
        ("scheme: our-own", "[{allOf: [{scheme: our-own}]}]", ""),
        (
            "scheme: secnumcloud, milestone: J1",
            "[{allOf: [{scheme: secnumcloud}]}]",
            "secnumcloud: Candidate (J1), there is no decision, not secnumcloud",
        ),
    ] {
        let lacking = if lacking.is_empty() { String::new() } else { format!("qualifications: {lacking}") };
        table(&[(&held(qualifications), &format!("{{qualifications: {alternatives}}}"), &lacking)]);
    }
    let expired = r#"qualifications: [{scheme: secnumcloud, version: "3.2", validFrom: "2023-11-30", validUntil: "2026-11-24"}]"#;
    table(&[(
        expired,
        r#"{qualifications: [{allOf: [{scheme: secnumcloud, minimumVersion: "3.2"}]}, {allOf: [{scheme: on-premises}]}]}"#,
        "qualifications: secnumcloud 3.2: Expired after 2026-11-24; no on-premises qualification, not secnumcloud >= 3.2, or on-premises",
    )]);
}

#[test]
fn one_alternative_may_take_over_from_another() {
    let c = cloud(
        r#"qualifications:
- {scheme: secnumcloud, validFrom: "2025-01-01", validUntil: "2026-12-31"}
- {scheme: secnumcloud, validFrom: "2027-01-01", validUntil: "2027-06-30"}
- {scheme: on-premises, validFrom: "2027-06-01", validUntil: "2027-07-31"}"#,
    );
    let level = level("{qualifications: [{allOf: [{scheme: secnumcloud}]}, {allOf: [{scheme: on-premises}]}]}");
    let register = register(&[("c", c)], &[("l", level)]);
    let satisfied = register.assess(instant(NOW)).clouds["c"].satisfies("l").unwrap();
    assert_eq!(satisfied.until, Some(instant("2027-07-31T22:00:00Z")), "no gap in between");
}

#[test]
fn long_answers_are_cut() {
    let alternatives: Vec<String> = (0..32).map(|n| format!("{{allOf: [{{scheme: own-{n:02}}}]}}")).collect();
    let found = lacks(&[("c", cloud(""))], &format!("{{qualifications: [{}]}}", alternatives.join(", ")), NOW);
    assert!(
        found[0].ends_with("not own-00, or own-01, or own-02, or own-03, or own-04, or own-05, or own-06, or own-07, or one of 24 more")
    );
}
