//! Second names for policies. A deleted policy stays in force while its finalizer holds it, so the operator can write another
//! one beside it and let go of the first only when the second is seen in use (enforcement.md, fact 22).

use super::policies::{AdmissionObject, Kind};

/// A policy and what binds it. They only work together, so they have their second names together.
#[derive(Clone, Debug)]
pub struct PolicySet<'a> {
    objects: Vec<&'a AdmissionObject>,
}

/// Which name: 1 is the one in the files, `n` adds `-n` to it.
pub type Slot = u32;

/// The first slot.
pub const FIRST: Slot = 1;

/// Every policy of `objects` with its bindings.
pub fn sets(objects: &[AdmissionObject]) -> Vec<PolicySet<'_>> {
    let policies = objects.iter().filter(|object| object.kind.is_policy());
    let bound_to = |policy: &AdmissionObject| {
        let bindings = objects.iter().filter(|object| !object.kind.is_policy() && object.kind.is_mutating() == policy.kind.is_mutating());
        bindings.filter(|binding| binding.object["spec"]["policyName"] == policy.name.as_str()).collect::<Vec<_>>()
    };
    policies.map(|policy| PolicySet { objects: [vec![policy], bound_to(policy)].concat() }).collect()
}

impl PolicySet<'_> {
    /// The objects under their names in `slot`.
    pub fn in_slot(&self, slot: Slot) -> Vec<AdmissionObject> {
        self.objects.iter().map(|object| moved(object, slot)).collect()
    }

    /// Kind and name of each object in `slot`.
    pub fn keys(&self, slot: Slot) -> impl Iterator<Item = String> {
        self.objects.iter().map(move |object| format!("{}/{}", object.kind.as_str(), named(&object.name, slot)))
    }

    /// The slot that the object of this kind and name stands in, if it is one of this set.
    pub fn slot_of(&self, kind: Kind, name: &str) -> Option<Slot> {
        self.objects.iter().filter(|object| object.kind == kind).find_map(|object| match name.strip_prefix(&object.name)? {
            "" => Some(FIRST),
            rest => rest.strip_prefix('-')?.parse().ok().filter(|slot| *slot > FIRST),
        })
    }
}

fn named(name: &str, slot: Slot) -> String {
    if slot == FIRST { name.to_owned() } else { format!("{name}-{slot}") }
}

fn moved(object: &AdmissionObject, slot: Slot) -> AdmissionObject {
    let name = named(&object.name, slot);
    let mut moved = object.object.clone();
    moved["metadata"]["name"] = name.as_str().into();
    if let Some(policy) = moved["spec"]["policyName"].as_str().map(|policy| named(policy, slot)) {
        moved["spec"]["policyName"] = policy.into();
    }
    AdmissionObject { kind: object.kind, name, object: moved }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::{Settings, policies};

    #[test]
    fn every_object_is_in_one_set_and_a_second_name_is_nobodys_first() {
        let objects = policies(&Settings::default());
        let sets = sets(&objects);
        let first: Vec<String> = sets.iter().flat_map(|set| set.keys(FIRST).collect::<Vec<_>>()).collect();
        assert_eq!(first.len(), objects.len());
        for object in &objects {
            let slots: Vec<_> = sets.iter().filter_map(|set| set.slot_of(object.kind, &object.name)).collect();
            assert_eq!(slots, [FIRST], "{}", object.key());
        }
        for set in &sets {
            for object in set.in_slot(3) {
                assert!(!first.contains(&object.key()), "{}", object.key());
                assert_eq!(sets.iter().filter_map(|set| set.slot_of(object.kind, &object.name)).collect::<Vec<_>>(), [3]);
                let bound = object.object["spec"]["policyName"].as_str();
                assert!(bound.is_none_or(|policy| policy.ends_with("-3")), "{}", object.key());
            }
        }
    }
}
