//! Events. They are for people: none of them holds up a write or makes it fail.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::warn;

use super::said;
use crate::api::names::FIELD_MANAGER;
use crate::plan::Notice;

/// How many events may wait to be written; more of them are lost.
const WAITING: usize = 1_000;
/// How long one of them may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long those that still wait may take in all when the operator ends.
const FAREWELL: Duration = Duration::from_secs(3);
/// Longest note of an Event that the API server takes.
const LONGEST_NOTE: usize = 1_000;

/// Takes what is to be told. It is told by a task of its own, one after the other.
pub(super) struct Events(mpsc::Sender<(ObjectReference, Notice)>);

/// The task that tells.
pub struct Telling(JoinHandle<()>);

/// Events of the operator called `instance`.
pub(super) fn events(client: Client, instance: String) -> (Events, Telling) {
    let recorder = Recorder::new(client, Reporter { controller: FIELD_MANAGER.to_owned(), instance: Some(instance) });
    let (sender, mut waiting) = mpsc::channel::<(ObjectReference, Notice)>(WAITING);
    let telling = async move {
        while let Some((regarding, notice)) = waiting.recv().await {
            let (name, reason) = (regarding.name.clone(), notice.reason.as_str());
            match timeout(PATIENCE, recorder.publish(&event(notice), &regarding)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => warn!(name, reason, error = said(&error), "event not written"),
                Err(_) => warn!(name, reason, "event not written: not answered within {} s", PATIENCE.as_secs()),
            }
        }
    };
    (Events(sender), Telling(tokio::spawn(telling)))
}

impl Events {
    /// Has it told, and does not wait for that.
    pub(super) fn tell(&self, regarding: &ObjectReference, notice: Notice) {
        let reason = notice.reason.as_str();
        if self.0.try_send((regarding.clone(), notice)).is_err() {
            warn!(name = regarding.name, reason, "event not written: too many wait");
        }
    }
}

impl Telling {
    /// Waits, if not for long, until everything is told. The writer that had something to tell is gone.
    pub async fn end(mut self) {
        if timeout(FAREWELL, &mut self.0).await.is_err() {
            self.0.abort();
            warn!("some events were not written in time");
        }
    }
}

fn event(notice: Notice) -> Event {
    let mut note = notice.note;
    note.truncate(note.floor_char_boundary(LONGEST_NOTE));
    Event {
        type_: if notice.warning { EventType::Warning } else { EventType::Normal },
        reason: notice.reason.as_str().to_owned(),
        note: Some(note),
        action: "Assess".to_owned(),
        secondary: None,
    }
}
