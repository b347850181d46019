//! What is logged is changed in the configuration file while the operator runs.

use std::fs::File;
use std::process::{Child, Command, Stdio};

use super::world::{World, qualified_cloud, restreint};
use crate::cluster::{apply, asked, wait_until};
use crate::mounted::Mounted;

/// An operator that has only its file to go by.
struct Operator<'a> {
    world: &'a World,
    process: Child,
    file: Mounted,
}

const QUIET: &str = "log: {level: info}\n";
const LOUD: &str = "log: {level: 'info,rempart::operator=debug'}\n";

impl<'a> Operator<'a> {
    fn start(world: &'a World) -> Self {
        let file = Mounted::new(world.cluster.dir().join("config"), QUIET);
        let log = File::create(world.cluster.dir().join("operator.log")).unwrap();
        let mut command = world.command();
        command.arg("--config").arg(file.file()).stdout(Stdio::null()).stderr(log);
        Self { world, process: command.spawn().expect("the operator starts"), file }
    }

    fn hang_up(&self) {
        assert!(Command::new("kill").args(["-HUP", &self.process.id().to_string()]).status().expect("kill is everywhere").success());
    }

    /// How often the log has this line.
    fn count(&self, text: &str) -> usize {
        self.world.log().matches(text).count()
    }

    async fn wait_count(&self, text: &str, count: usize) {
        wait_until(&format!("{count} times {text}"), async || if self.count(text) >= count { Ok(()) } else { Err(self.world.log()) }).await;
        assert_eq!(self.count(text), count, "{text}");
    }

    /// Gives it something to plan, and waits until that is done.
    async fn works(&self, prefix: &str) {
        self.world.nodes(prefix, 1, "snc").await;
        self.world.wait_nodes(prefix, "restreint", true).await;
    }

    async fn is_valid(&self, valid: bool) {
        wait_until("the metric says so", async || match asked(&self.world.log(), "/metrics").await {
            (200, metrics) if metrics.contains(&format!("\nrempart_configuration_valid {}\n", u8::from(valid))) => Ok(()),
            other => Err(other),
        })
        .await;
    }
}

impl Drop for Operator<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_logged_follows_the_file_and_nothing_that_is_wrong_in_it_is_taken_up() {
    const ANEW: &str = "says anew what is logged";
    const DEBUG: &str = "planned steps=";
    const WRONG: &str = "the configuration file is wrong: what was read before holds";
    const LATER: &str = "this takes effect at the next start";
    let world = World::installed("configured").await;
    let mut operator = Operator::start(&world);
    world.wait_for_log("the guard holds").await;
    world.cluster.history().promise(&[]);
    apply(&world.admin, &[qualified_cloud("snc"), restreint()]).await;
    operator.works("quiet").await;
    assert_eq!(operator.count(DEBUG), 0);
    operator.is_valid(true).await;

    // It is noticed without being asked, through the links of a ConfigMap.
    operator.file.write(LOUD);
    operator.wait_count(ANEW, 1).await;
    operator.works("loud").await;
    wait_until("plans are logged", async || if operator.count(DEBUG) > 0 { Ok(()) } else { Err(world.log()) }).await;

    // What is wrong leaves everything as it is, and is said once.
    for (number, wrong) in ["log: {level: debgu}\n", "log: {level: info}\nprobeEvry: 1s\n", "log: [\n"].into_iter().enumerate() {
        operator.file.write(wrong);
        operator.wait_count(WRONG, number + 1).await;
        operator.is_valid(false).await;
        let before = operator.count(DEBUG);
        operator.works(&format!("wrong-{number}")).await;
        wait_until("plans are still logged", async || if operator.count(DEBUG) > before { Ok(()) } else { Err(world.log()) }).await;
    }
    assert_eq!(operator.count("debgu\\\" is no level"), 1);
    assert_eq!(operator.count("there is no key probeEvry"), 1);
    assert_eq!(operator.count(ANEW), 1);

    // Put right, and asked for at once; what else is new is announced once.
    operator.file.write(&format!("{QUIET}probeEvery: 1m\nnodeLabelers: [joe]\n"));
    operator.hang_up();
    operator.wait_count(ANEW, 2).await;
    operator.wait_count(LATER, 1).await;
    assert_eq!(operator.count("keys=\"nodeLabelers, probeEvery\""), 1);
    operator.is_valid(true).await;
    let before = operator.count(DEBUG);
    operator.works("quiet-again").await;
    assert_eq!(operator.count(DEBUG), before);
    operator.file.write(&format!("{LOUD}probeEvery: 1m\nnodeLabelers: [joe]\n"));
    operator.hang_up();
    operator.wait_count(ANEW, 3).await;
    operator.wait_count(LATER, 1).await;
    operator.works("loud-again").await;
    wait_until("plans are logged again", async || if operator.count(DEBUG) > before { Ok(()) } else { Err(world.log()) }).await;
}
