//! Objects that name each other: `reliesOn` between clouds, `extends` between levels.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Who names whom. Names that nobody has are ignored here.
pub(super) type Edges<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// For every name that comes back to itself, the shortest way: `a -> b -> a`.
pub(super) fn cycles(edges: &Edges<'_>) -> BTreeMap<String, String> {
    edges.keys().filter_map(|name| Some(((*name).to_owned(), way_back(name, edges)?.join(" -> ")))).collect()
}

fn way_back<'a>(start: &'a str, edges: &Edges<'a>) -> Option<Vec<&'a str>> {
    let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(name) = queue.pop_front() {
        for &next in edges.get(name).into_iter().flatten() {
            if next == start {
                let mut way = vec![start];
                let mut at = name;
                while at != start {
                    way.push(at);
                    at = came_from.get(at)?;
                }
                way.push(start);
                way.reverse();
                return Some(way);
            }
            if edges.contains_key(next) && !came_from.contains_key(next) {
                came_from.insert(next, name);
                queue.push_back(next);
            }
        }
    }
    None
}

/// For every name, all that it leads to, itself not included; and the names in an order in which each comes after
/// all that it leads to. What lies on a cycle leads nowhere: its own object has a problem.
pub(super) fn below<'a>(edges: &Edges<'a>, cycles: &BTreeMap<String, String>) -> (Vec<&'a str>, BTreeMap<&'a str, BTreeSet<&'a str>>) {
    let next = |name: &str| edges.get(name).filter(|_| !cycles.contains_key(name)).into_iter().flatten().copied();
    let mut order = Vec::new();
    let mut reached: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut stack: Vec<&str> = edges.keys().rev().copied().collect();
    while let Some(&name) = stack.last() {
        let waiting: Vec<&str> = next(name).filter(|next| edges.contains_key(next) && !reached.contains_key(next)).collect();
        if !waiting.is_empty() && !reached.contains_key(name) {
            stack.extend(waiting);
            continue;
        }
        stack.pop();
        if !reached.contains_key(name) {
            let mut all = BTreeSet::new();
            for next in next(name) {
                all.insert(next);
                all.extend(reached.get(next).into_iter().flatten());
            }
            reached.insert(name, all);
            order.push(name);
        }
    }
    (order, reached)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(text: &'static str) -> Edges<'static> {
        text.split(' ')
            .map(|line| {
                let (name, to) = line.split_once(':').unwrap();
                (name, to.split(',').filter(|to| !to.is_empty()).collect())
            })
            .collect()
    }

    #[test]
    fn a_cycle_is_named_from_each_of_its_members() {
        let found = cycles(&edges("a:b b:c,d c:a d: e:a f:f g:nobody"));
        let found: Vec<&str> = found.values().map(String::as_str).collect();
        assert_eq!(found, ["a -> b -> c -> a", "b -> c -> a -> b", "c -> a -> b -> c", "f -> f"]);
    }

    #[test]
    fn what_is_below_comes_first_and_cycles_end() {
        let edges = edges("a:b,c b:d c:d d: e:f f:g g:f z:nobody");
        let (order, below) = below(&edges, &cycles(&edges));
        assert_eq!(order.len(), 8);
        let place = |name: &str| order.iter().position(|other| *other == name).unwrap();
        assert!(place("d") < place("b") && place("b") < place("a") && place("c") < place("a"));
        assert_eq!(below["a"], BTreeSet::from(["b", "c", "d"]));
        assert_eq!(below["e"], BTreeSet::from(["f"]));
        assert_eq!(below["z"], BTreeSet::from(["nobody"]));
        assert!(below["f"].is_empty());
    }

    #[test]
    fn a_very_long_chain_is_no_trouble() {
        let names: Vec<String> = (0..500).map(|n| format!("n{n}")).collect();
        let edges: Edges<'_> =
            names.iter().enumerate().map(|(i, name)| (name.as_str(), names.get(i + 1).into_iter().map(String::as_str).collect())).collect();
        assert!(cycles(&edges).is_empty());
        assert_eq!(below(&edges, &BTreeMap::new()).1["n0"].len(), 499);
    }
}
