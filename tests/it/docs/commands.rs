//! The commands in the book do what it says. All pages, in the order of the summary, on one control plane with the operator running.
//!
//! - A block of `sh` is run, and must succeed. The block of `text` after it is what it says: each line must be there, in this order, where `…` stands
//!   for anything and ages do not matter. What begins with an error must be refused. What only asks is asked again until it says so.
//! - A block of `yaml` is applied after `<!-- apply -->`, and written into a file after `<!-- file: NAME -->`.
//! - `<!-- test` begins a script of the test alone, which the reader does not see: what is there before.
//! - `<!-- repeat -->`: the next script is run until it succeeds and says what is shown. `<!-- not run: WHY -->`: it is not run.
//! - `<!-- operator: stop -->` and `<!-- operator: start -->`: from here on the operator is dead, or alive again.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use regex::Regex;

use super::{SOURCE, links, text};
use crate::cluster::{PATIENCE, ran};
use crate::operator::world::World;

/// Something to do on the way through a page.
#[derive(Debug)]
enum Act {
    Run { script: String, shown: String, repeat: bool },
    File { name: String, text: String },
    Stop,
    Start,
}

/// What stands in a page, and in which line.
type Steps = Vec<(usize, Act)>;

/// What a comment said about the block after it.
#[derive(Default)]
struct Marks {
    apply: bool,
    repeat: bool,
    skip: bool,
    file: Option<String>,
}

/// Takes the lines up to one that is `end`.
fn block<'a>(lines: &mut impl Iterator<Item = (usize, &'a str)>, end: &str) -> String {
    lines.take_while(|(_, line)| *line != end).fold(String::new(), |text, (_, line)| text + line + "\n")
}

/// Reads a page. A block that nobody has said anything about is a mistake.
fn read(name: &str, page: &str) -> Steps {
    let mut steps = Steps::new();
    let mut marks = Marks::default();
    // The output that is shown belongs to the script right before it.
    let mut may_show = false;
    let mut lines = page.lines().enumerate().map(|(number, line)| (number + 1, line));
    while let Some((number, line)) = lines.next() {
        let run = |script: String, repeat: bool| (number, Act::Run { script, shown: String::new(), repeat });
        let comment = line.strip_prefix("<!-- ").map(|comment| comment.trim_end_matches(" -->"));
        match (comment, line.strip_prefix("```")) {
            (Some("test"), _) => steps.push(run(block(&mut lines, "-->"), std::mem::take(&mut marks.repeat))),
            (Some("operator: stop"), _) => steps.push((number, Act::Stop)),
            (Some("operator: start"), _) => steps.push((number, Act::Start)),
            (Some("apply"), _) => marks.apply = true,
            (Some("repeat"), _) => marks.repeat = true,
            (Some(comment), _) if comment.starts_with("not run: ") => marks.skip = true,
            (Some(comment), _) => {
                marks.file = Some(comment.strip_prefix("file: ").unwrap_or_else(|| panic!("{name}:{number}: {comment}?")).to_owned());
            }
            (_, Some(language)) => {
                let text = block(&mut lines, "```");
                let marks = std::mem::take(&mut marks);
                match (language, steps.last_mut()) {
                    _ if marks.skip => {}
                    ("text", Some((_, Act::Run { shown, .. }))) if may_show => *shown = text,
                    ("sh", _) => {
                        let repeat = marks.repeat || only_asks(&text);
                        steps.push(run(text, repeat));
                        may_show = true;
                        continue;
                    }
                    ("yaml", _) if marks.apply => steps.push(run(format!("kubectl apply -f - <<'EOF'\n{text}EOF\n"), false)),
                    ("yaml", _) => match marks.file {
                        Some(file) => steps.push((number, Act::File { name: file, text })),
                        None => panic!("{name}:{number}: is this to be applied?"),
                    },
                    _ => panic!("{name}:{number}: a block of {language:?} that is nothing's output"),
                }
            }
            _ if line.is_empty() => continue,
            _ => {}
        }
        may_show = false;
    }
    steps
}

/// Whether asking again does no harm.
fn only_asks(script: &str) -> bool {
    let joined = script.replace("\\\n", " ");
    let asks = |line: &str| {
        ["kubectl get ", "kubectl describe ", "kubectl auth ", "kubectl -n rempart-system get "].iter().any(|ask| line.starts_with(ask))
    };
    joined.lines().all(asks)
}

/// On one line, with one space between words, and every age the same.
fn plain(said: &str) -> String {
    let age = Regex::new(r"\b(?:\d+[dhms]){1,2}\b").unwrap();
    let joined = said.split_whitespace().collect::<Vec<_>>().join(" ");
    age.replace_all(&joined, "AGE").into_owned()
}

/// The first line that is shown and was not said.
fn missing(shown: &str, said: &str) -> Option<String> {
    let said = plain(said);
    let mut rest = said.as_str();
    for line in shown.lines() {
        let parts: Vec<String> = plain(line).split('…').map(|part| regex::escape(part.trim())).collect();
        match Regex::new(&parts.join(".*?")).unwrap().find(rest) {
            Some(found) => rest = &rest[found.end()..],
            None => return Some(line.to_owned()),
        }
    }
    None
}

/// Whether the script did what the page shows; if not, what it did.
fn check(command: Command, shown: &str) -> Result<(), String> {
    let refused = ["Error", "rempart: "].iter().any(|start| shown.starts_with(start)) || shown.contains(" is invalid: ");
    let said = match (ran(command), refused) {
        (Ok(said), false) | (Err(said), true) => said,
        (Ok(said), true) => return Err(format!("it is not refused:\n{said}")),
        (Err(said), false) => return Err(format!("it fails:\n{said}")),
    };
    missing(shown, &said).map_or(Ok(()), |line| Err(format!("it does not say\n{line}\nbut\n{said}")))
}

async fn follow(world: &mut World, name: &str, steps: Steps) {
    let assigns = Regex::new(r"(?m)^[a-z_]+=.*\n").unwrap();
    let folder = world.cluster.dir().join("reader");
    fs::create_dir_all(&folder).unwrap();
    // What a reader types in one shell holds for the rest of the page.
    let mut kept = String::new();
    for (line, act) in steps {
        match act {
            Act::Stop => world.kill(),
            Act::Start => world.start().await,
            Act::File { name, text } => fs::write(folder.join(name), text).unwrap(),
            Act::Run { script, shown, repeat } => {
                let whole = format!("{kept}{script}");
                kept.extend(assigns.find_iter(&script).map(|found| found.as_str()));
                let begin = Instant::now();
                loop {
                    let mut command = world.cluster.shell_command(&[Path::new(env!("CARGO_BIN_EXE_rempart"))], &whole);
                    command.current_dir(&folder);
                    match check(command, &shown) {
                        Ok(()) => break,
                        Err(_) if repeat && begin.elapsed() < PATIENCE => tokio::time::sleep(Duration::from_millis(200)).await,
                        Err(why) => panic!("{name}:{line}\n{script}\n{why}"),
                    }
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_in_the_book_do_what_it_says() {
    let pages = links::links(&text(format!("{SOURCE}/SUMMARY.md"))).into_iter().filter(|name| !name.starts_with("reference/"));
    let pages: Vec<_> = pages.map(|name| (read(&name, &text(format!("{SOURCE}/{name}"))), name)).collect();
    let runs = pages.iter().flat_map(|(steps, _)| steps).filter(|(_, act)| matches!(act, Act::Run { .. })).count();
    assert!(runs > 40, "only {runs} scripts: are they still seen?");
    let mut world = World::guarded("book").await;
    for (steps, name) in pages {
        let begin = Instant::now();
        let count = steps.len();
        follow(&mut world, &name, steps).await;
        eprintln!("{name}: {count} steps in {:.1} s", begin.elapsed().as_secs_f64());
    }
}
