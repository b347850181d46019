//! The small values that several kinds share. Their patterns stand in the CRD, so the API server refuses what does not match.

use std::fmt;

use jiff::SignedDuration;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $pattern:literal, $max:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(transparent)]
        #[schemars(inline)]
        pub struct $name(#[schemars(regex(pattern = $pattern), length(max = $max))] pub String);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
    };
}

text!(
    /// A country: ISO 3166-1 alpha-2, in capitals.
    Country, r"^[A-Z]{2}$", 2
);
text!(
    /// A country, or `EU` or `EEA` for their members.
    Place, r"^([A-Z]{2}|EEA)$", 3
);
text!(
    /// A percentage from 0 to 100 with up to four decimals, as text: `"24"`, `"39.5"`.
    Percent, r"^(100(\.0{1,4})?|[0-9]{1,2}(\.[0-9]{1,4})?)$", 8
);
text!(
    /// A length of time: a number and one of `m`, `h`, `d` (24 hours): `72h`, `90d`.
    Span, r"^[1-9][0-9]{0,4}(m|h|d)$", 6
);
text!(
    /// Name of a qualification scheme, in lower case: `secnumcloud`, `hds`.
    Scheme, r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", 63
);
text!(
    /// Name of a sensitivity level: a DNS label, because it becomes part of a label key.
    LevelName, r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", 63
);
text!(
    /// Name of a trusted cloud: a DNS label, because it becomes the value of a label.
    CloudName, r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", 63
);

impl Span {
    /// The length of time; none where the text does not have the form that the CRD demands.
    pub fn duration(&self) -> Option<SignedDuration> {
        let (number, unit) = self.0.split_at_checked(self.0.len().checked_sub(1)?)?;
        let minutes = match unit {
            "m" => 1,
            "h" => 60,
            "d" => 24 * 60,
            _ => return None,
        };
        let plain = (1..=5).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit()) && !number.starts_with('0');
        let number: i64 = number.parse().ok().filter(|_| plain)?;
        Some(SignedDuration::from_mins(number * minutes))
    }
}

/// Kind of service that is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Model {
    /// Infrastructure as a service.
    IaaS,
    /// Containers as a service.
    CaaS,
    /// Platform as a service.
    PaaS,
    /// Software as a service.
    SaaS,
    /// The organisation's own premises.
    OnPremises,
}

/// Who holds the keys that protect stored data, from weakest to strongest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
pub enum KeyCustody {
    /// The provider makes and holds the keys.
    ProviderManaged,
    /// The customer manages keys that live with the provider.
    CustomerManaged,
    /// The keys live in a key manager outside the provider.
    ExternalKms,
    /// The keys are held by the customer and never given to the provider.
    HoldYourOwnKey,
    /// Data is encrypted before it reaches the provider.
    ClientSide,
}

/// How far the machines are shared with others, from weakest to strongest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Isolation {
    /// Virtual machines on shared hosts.
    SharedVirtual,
    /// Hosts of one's own.
    DedicatedHost,
    /// A zone of one's own.
    DedicatedZone,
}

/// Whether a holder from outside the European Union has a veto.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Veto {
    /// No such holder has a veto.
    None,
    /// One has.
    Held,
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
impl fmt::Display for KeyCustody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
impl fmt::Display for Veto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A text as short as the value of a label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct ShortText(#[schemars(length(max = 63))] pub String);

/// Pods or claims by verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct Tally {
    /// On a node, or on storage, that is cleared.
    #[serde(default)]
    pub compliant: i32,
    /// On one that is not.
    #[serde(default)]
    pub violating: i32,
    /// Not placed, or it cannot be known.
    #[serde(default)]
    pub unknown: i32,
}
