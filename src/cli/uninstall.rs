//! `rempart uninstall`.

use std::path::PathBuf;

use super::{Failure, UNREADABLE, USAGE};
use crate::cluster::{self, Alive, LeaseError, Part};

/// Policies stay in force when the operator is removed, so that nothing opens by it. This takes them away, with the quotas in sensitive namespaces and the
/// hold on levels in use. Levels, clouds, declarations, storage classes and labels stay: installed again, Rempart goes on where it was.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Kubeconfig file; otherwise KUBECONFIG, ~/.kube/config or the pod's service account
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig
    #[arg(long)]
    context: Option<String>,
    /// Remove it; without this, only say what would be removed
    #[arg(long)]
    yes: bool,
}

#[tokio::main(flavor = "current_thread")]
pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let unreadable = |message: String| Failure { code: UNREADABLE, message };
    let connected = cluster::connect(arguments.kubeconfig.as_deref(), arguments.context.clone(), Vec::new(), "uninstall").await;
    let (client, _) = connected.map_err(|error| unreadable(error.to_string()))?;
    let alive = cluster::alive(&client).await;
    let unknown =
        |error: LeaseError| format!("whether an operator runs is not known: the leases of all namespaces must be listed for that: {error}");
    if let Some(Alive { holder, namespace }) = alive.map_err(|error| unreadable(unknown(error)))? {
        let message = format!(
            "the operator runs as {holder} in namespace {namespace} and would put everything back: remove it first, with `helm uninstall rempart -n {namespace}` or as it was installed"
        );
        return Err(Failure { code: USAGE, message });
    }

    let found = cluster::guarding(&client).await.map_err(|error| unreadable(error.to_string()))?;
    if found.is_empty() {
        println!("nothing of Rempart guards this cluster");
        return Ok(());
    }
    let count = |part: Part| found.iter().filter(|guarding| guarding.part() == part).count();
    let counts = format!(
        "{} policies and bindings, {} quotas in sensitive namespaces, the hold on {} levels",
        count(Part::Admission),
        count(Part::Quota),
        count(Part::Hold)
    );
    if !arguments.yes {
        for guarding in &found {
            println!("{}", guarding.name);
        }
        let message = format!(
            "nothing was removed: --yes removes {counts}, and from then on sensitive namespaces are open to every node and storage class"
        );
        return Err(Failure { code: USAGE, message });
    }
    let mut left = Vec::new();
    for guarding in &found {
        if let Err(error) = guarding.remove().await {
            left.push(format!("{}: {error}", guarding.name));
        }
    }
    if left.is_empty() {
        println!("removed: {counts}. Levels, clouds, declarations, storage classes and labels stay");
        Ok(())
    } else {
        Err(unreadable(format!(
            "{} of {} could not be removed, run it again when that is mended:\n{}",
            left.len(),
            found.len(),
            left.join("\n")
        )))
    }
}
