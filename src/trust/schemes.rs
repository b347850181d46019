//! The qualification schemes that Rempart knows by name. Others are allowed: organisations have their own.

use super::spelling;

/// How far a scheme has come in its own making.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Maturity {
    /// In force: a decision under it counts.
    InForce,
    /// A draft: nothing can be held under it yet.
    Draft,
    /// A proposal of law: nothing can be held under it yet.
    Proposal,
}

/// Most telling first: the order in which a cloud's qualifications are put forward.
const SCHEMES: [(&str, Maturity); 15] = [
    ("secnumcloud", Maturity::InForce),           // ANSSI, qualification
    ("c3a", Maturity::InForce),                   // BSI, on top of c5
    ("ens", Maturity::InForce),                   // Spain, RD 311/2022
    ("acn", Maturity::InForce),                   // Italy, decree 21007/24
    ("hds", Maturity::InForce),                   // France, health data hosting
    ("homologation-ii901-dr", Maturity::InForce), // France, the customer's own authority (II 901)
    ("on-premises", Maturity::InForce),           // the organisation's own homologation
    ("c5", Maturity::InForce),                    // BSI, attestation
    ("eu-csf", Maturity::InForce),                // Cloud Sovereignty Framework, per tender
    ("gaia-x", Maturity::InForce),                // label
    ("cispe", Maturity::InForce),                 // label
    ("cigref", Maturity::InForce),                // self-assessment
    (ISO27001, Maturity::InForce),                // certificate, says nothing about sovereignty
    ("eucs", Maturity::Draft),                    // ENISA candidate scheme
    ("cada-ual", Maturity::Proposal),             // Cloud and AI Development Act
];

/// A certificate about management, not about sovereignty.
pub(super) const ISO27001: &str = "iso27001";

/// How far `scheme` has come; none for one that is not in the catalogue.
pub(super) fn maturity(scheme: &str) -> Option<Maturity> {
    SCHEMES.iter().find(|(name, _)| *name == scheme).map(|(_, maturity)| *maturity)
}

/// Whether a decision under `scheme` can satisfy anything. One that is not in the catalogue can.
pub(super) fn in_force(scheme: &str) -> bool {
    maturity(scheme).is_none_or(|maturity| maturity == Maturity::InForce)
}

/// Place of `scheme` among those that say most; unknown ones come last.
pub(super) fn rank(scheme: &str) -> usize {
    SCHEMES.iter().position(|(name, _)| *name == scheme).unwrap_or(SCHEMES.len())
}

/// What to say of a scheme that is not in the catalogue.
pub(super) fn unknown(scheme: &str) -> String {
    format!(
        "{scheme} is not a scheme that Rempart knows{}: right if it is your own",
        spelling::meant(scheme, SCHEMES.map(|(name, _)| name))
    )
}
