//! Which qualifications a level asks for: alternatives, each of several members.

use std::collections::BTreeSet;
use std::fmt;

use super::schemes;
use super::version::Version;

/// A qualification that must hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Member {
    /// Under this scheme.
    pub(super) scheme: String,
    /// At least this version.
    pub(super) minimum: Option<Version>,
    /// With all of these levels of the scheme.
    pub(super) levels: BTreeSet<String>,
}

impl Member {
    /// Whether every qualification that satisfies this also satisfies `other`.
    fn implies(&self, other: &Self) -> bool {
        let reaches = match (&self.minimum, &other.minimum) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(own), Some(minimum)) => own.reaches(minimum),
        };
        self.scheme == other.scheme && reaches && self.levels.is_superset(&other.levels)
    }
}

/// Members that must all hold; none of them implies another.
type AllOf = BTreeSet<Member>;

/// At least one of these must hold. Always in normal form, so that equal requirements are equal values: no alternative
/// implies another, because the stricter of the two says nothing. Alternatives form the free distributive lattice over
/// members, and this is its antichain form, which makes [`Self::meet`] associative, commutative and idempotent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Alternatives {
    any_of: BTreeSet<AllOf>,
}

/// Alternatives multiply out to more than [`MOST`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany;

/// More alternatives than anybody could read, and few enough to multiply out in no time.
pub(super) const MOST: usize = 256;
/// Bound on the work of one [`Alternatives::meet`]: what it multiplies out before reducing.
const MOST_PRODUCTS: usize = 16 * MOST;

impl Alternatives {
    /// Requires nothing: one alternative with no members.
    pub(super) fn nothing() -> Self {
        Self { any_of: BTreeSet::from([AllOf::new()]) }
    }

    /// The normal form of `written`; an empty list requires nothing.
    pub(super) fn of(written: impl IntoIterator<Item = Vec<Member>>) -> Result<Self, TooMany> {
        let any_of: BTreeSet<AllOf> = written.into_iter().map(weakest_members).collect();
        if any_of.is_empty() { Ok(Self::nothing()) } else { weakest_alternatives(any_of) }
    }

    /// What satisfies both.
    pub(super) fn meet(&self, other: &Self) -> Result<Self, TooMany> {
        if self.any_of.len() * other.any_of.len() > MOST_PRODUCTS {
            // Equal requirements are common (two levels extend a third) and need no room.
            return if self == other { Ok(self.clone()) } else { Err(TooMany) };
        }
        let pairs = self.any_of.iter().flat_map(|one| other.any_of.iter().map(move |two| (one, two)));
        weakest_alternatives(pairs.map(|(one, two)| weakest_members(one.union(two).cloned())).collect())
    }

    /// The alternatives, in a fixed order.
    pub(super) fn any_of(&self) -> impl Iterator<Item = &AllOf> {
        self.any_of.iter()
    }
}

/// Leaves out each member that another one implies.
fn weakest_members(members: impl IntoIterator<Item = Member>) -> AllOf {
    let members: AllOf = members.into_iter().collect();
    let implied = |member: &Member| members.iter().any(|other| other != member && other.implies(member));
    members.iter().filter(|member| !implied(member)).cloned().collect()
}

/// Leaves out each alternative that implies another one.
fn weakest_alternatives(all: BTreeSet<AllOf>) -> Result<Alternatives, TooMany> {
    let mut any_of: Vec<AllOf> = Vec::new();
    for one in all {
        if any_of.iter().any(|kept| implies(&one, kept)) {
            continue;
        }
        any_of.retain(|kept| !implies(kept, &one));
        any_of.push(one);
        if any_of.len() > MOST {
            return Err(TooMany);
        }
    }
    Ok(Alternatives { any_of: any_of.into_iter().collect() })
}

fn implies(one: &AllOf, other: &AllOf) -> bool {
    other.iter().all(|member| one.iter().any(|own| own.implies(member)))
}

/// `secnumcloud >= 3.2`, `ens = 311/2022 (alta)`.
impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.scheme)?;
        match &self.minimum {
            Some(version @ Version::Dotted(_)) => write!(f, " >= {version}")?,
            Some(version @ Version::Named(_)) => write!(f, " = {version}")?,
            None => {}
        }
        if self.levels.is_empty() {
            return Ok(());
        }
        write!(f, " ({})", self.levels.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
    }
}

/// `hds >= 2 and secnumcloud >= 3.2, or on-premises`; after eight alternatives, how many more.
impl fmt::Display for Alternatives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 8;
        let mut shown: Vec<&AllOf> = self.any_of.iter().collect();
        // The most telling scheme first, as a person would say it.
        shown.sort_by_key(|all_of| all_of.iter().map(|member| schemes::rank(&member.scheme)).collect::<Vec<_>>());
        for (index, all_of) in shown.iter().take(SHOWN).enumerate() {
            if index > 0 {
                f.write_str(", or ")?;
            }
            f.write_str(&all_of.iter().map(Member::to_string).collect::<Vec<_>>().join(" and "))?;
        }
        if shown.len() > SHOWN { write!(f, ", or one of {} more", shown.len() - SHOWN) } else { Ok(()) }
    }
}
