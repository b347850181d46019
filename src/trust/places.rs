//! Countries, and the sets of them that a level may ask for.

use std::collections::BTreeSet;
use std::fmt;

/// A country of ISO 3166-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Country {
    code: &'static str,
}

impl Country {
    /// Reads an alpha-2 code, or says what to write instead.
    pub(super) fn parse(written: &str) -> Result<Self, String> {
        match ISO_3166_1.split(' ').find(|code| *code == written) {
            Some(code) => Ok(Self { code }),
            None => Err(format!("{written:?} is not a country{}", instead(written))),
        }
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)
    }
}

/// What people write in place of a code.
fn instead(written: &str) -> &'static str {
    match written {
        "UK" => ": write GB",
        "EL" => ": write GR",
        "EU" | "EEA" => ": a fact about a cloud names countries, one by one",
        _ => ": write a code of ISO 3166-1 alpha-2, such as FR",
    }
}

/// A set of countries, any of which will do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Places {
    countries: BTreeSet<Country>,
}

impl Places {
    /// Reads a country, or `EU` or `EEA` for their members.
    pub(super) fn parse(written: &str) -> Result<Self, String> {
        let members = match written {
            "EU" => EU.to_owned(),
            "EEA" => format!("{EU} {EFTA_IN_EEA}"),
            _ => {
                let country = Country::parse(written).map_err(|message| format!("{message}, EU or EEA"))?;
                return Ok(Self { countries: BTreeSet::from([country]) });
            }
        };
        Ok(Self { countries: members.split(' ').filter_map(|code| Country::parse(code).ok()).collect() })
    }

    /// All of the countries of `several`.
    pub(super) fn union(several: impl IntoIterator<Item = Self>) -> Self {
        Self { countries: several.into_iter().flat_map(|places| places.countries).collect() }
    }

    /// The countries that are in both.
    pub(super) fn meet(&self, other: &Self) -> Self {
        Self { countries: self.countries.intersection(&other.countries).copied().collect() }
    }

    /// Whether no country is left: nothing can be there.
    pub(super) fn is_empty(&self) -> bool {
        self.countries.is_empty()
    }

    /// Whether `country` is one of them.
    pub(super) fn contains(&self, country: Country) -> bool {
        self.countries.contains(&country)
    }
}

/// `EU`, `EEA`, `EU, CH`, `FR, DE`: as short as it can be said.
impl fmt::Display for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nowhere");
        }
        let named = ["EEA", "EU"].into_iter().find_map(|name| {
            let members = Self::parse(name).ok()?;
            members.countries.is_subset(&self.countries).then_some((name, members))
        });
        let (name, members) = named.map_or((None, None), |(name, members)| (Some(name), Some(members)));
        let others = self.countries.iter().filter(|country| !members.as_ref().is_some_and(|members| members.contains(**country)));
        let mut words = name.into_iter().chain(others.map(|country| country.code));
        words.next().map_or(Ok(()), |first| f.write_str(first))?;
        words.try_for_each(|word| write!(f, ", {word}"))
    }
}

/// Member States of the European Union since 2020-02-01 (Treaty on European Union, article 52, less the United Kingdom).
const EU: &str = "AT BE BG HR CY CZ DE DK EE ES FI FR GR HU IE IT LT LU LV MT NL PL PT RO SE SI SK";
/// The other parties to the Agreement on the European Economic Area (OJ L 1, 3.1.1994, p. 3).
const EFTA_IN_EEA: &str = "IS LI NO";

/// The officially assigned alpha-2 codes of ISO 3166-1, as in Debian's iso-codes. A table of its own, because the crate
/// that is maintained asks for a newer compiler than ours. An overseas territory may have a code of its own beside the
/// one of its State.
const ISO_3166_1: &str = "\
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ \
    CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO \
    FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE \
    JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO \
    MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW \
    PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM \
    TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

#[cfg(test)]
mod tests {
    use super::*;

    fn places(written: &str) -> Places {
        Places::union(written.split(' ').map(|place| Places::parse(place).unwrap()))
    }

    #[test]
    fn there_are_249_countries_27_in_the_union_and_30_in_the_area() {
        let codes: Vec<&str> = ISO_3166_1.split(' ').collect();
        assert_eq!(codes.len(), 249);
        assert!(codes.is_sorted());
        assert!(codes.iter().all(|code| code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase())));
        assert_eq!(places("EU").countries.len(), 27);
        assert_eq!(places("EEA").countries.len(), 30);
        for outside in ["GB", "CH", "US", "NO"] {
            assert!(!places("EU").contains(Country::parse(outside).unwrap()), "{outside}");
        }
    }

    #[test]
    fn sets_intersect_and_are_said_shortly() {
        for (one, other, both) in [
            ("EU", "EEA", "EU"),
            ("EEA", "EEA CH", "EEA"),
            ("EU", "FR US", "FR"),
            ("EU CH", "EU CH", "EU, CH"),
            ("US", "FR", "nowhere"),
            ("FR DE", "DE FR", "DE, FR"),
        ] {
            assert_eq!(places(one).meet(&places(other)).to_string(), both, "{one} and {other}");
        }
    }

    #[test]
    fn what_is_no_country_says_what_to_write() {
        for (written, said) in [
            ("UK", "\"UK\" is not a country: write GB"),
            ("EL", "\"EL\" is not a country: write GR"),
            ("EU", "\"EU\" is not a country: a fact about a cloud names countries, one by one"),
            ("XX", "\"XX\" is not a country: write a code of ISO 3166-1 alpha-2, such as FR"),
            ("fr", "\"fr\" is not a country: write a code of ISO 3166-1 alpha-2, such as FR"),
            ("", "\"\" is not a country: write a code of ISO 3166-1 alpha-2, such as FR"),
            ("FR DE", "\"FR DE\" is not a country: write a code of ISO 3166-1 alpha-2, such as FR"),
        ] {
            assert_eq!(Country::parse(written).unwrap_err(), said);
        }
        assert_eq!(Places::parse("XX").unwrap_err(), "\"XX\" is not a country: write a code of ISO 3166-1 alpha-2, such as FR, EU or EEA");
    }
}
