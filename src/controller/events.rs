//! Events on the objects, best effort, because the status says the same.

use kube::{
    Client,
    runtime::events::{Recorder, Reporter},
};
use parking_lot::Mutex;

/// The name under which fields are owned and events reported.
pub const FIELD_MANAGER: &str = "5spot-controller";

/// How many Events are remembered, so that one that is repeated soon is counted and not written anew.
///
/// The memory is searched as a whole for each Event, and would hold every Event of the last six minutes.
const REMEMBERED: usize = 128;

/// Writes Events.
pub(super) struct Events {
    client: Client,
    reporter: Reporter,
    memory: Mutex<Memory>,
}

struct Memory {
    recorder: Recorder,
    written: usize,
}

impl Events {
    /// Events that name `pod_name` as the instance that reports them.
    pub(super) fn new(client: Client, pod_name: String) -> Self {
        let reporter = Reporter {
            controller: FIELD_MANAGER.to_owned(),
            instance: Some(pod_name),
        };
        let recorder = Recorder::new(client.clone(), reporter.clone());
        Self {
            client,
            reporter,
            memory: Mutex::new(Memory {
                recorder,
                written: 0,
            }),
        }
    }

    /// The one to write the next Event with.
    pub(super) fn recorder(&self) -> Recorder {
        let mut memory = self.memory.lock();
        if memory.written >= REMEMBERED {
            memory.recorder = Recorder::new(self.client.clone(), self.reporter.clone());
            memory.written = 0;
        }
        memory.written += 1;
        memory.recorder.clone()
    }
}

#[cfg(test)]
mod tests {
    use kube::{
        Resource,
        runtime::events::{Event, EventType},
    };

    use super::*;
    use crate::{api::fixture, api_server::ApiServer};

    fn news(reason: String) -> Event {
        Event {
            type_: EventType::Normal,
            reason,
            note: None,
            action: "Looking".to_owned(),
            secondary: None,
        }
    }

    #[tokio::test]
    async fn what_is_repeated_soon_is_counted_and_the_memory_of_it_has_an_end() {
        let server = ApiServer::default();
        let events = Events::new(server.client(), "pod-a".to_owned());
        let object = fixture::office("a").object_ref(&());
        let again: Vec<_> = ["Again".to_owned(), "Again".to_owned()]
            .into_iter()
            .chain((0..REMEMBERED).map(|other| format!("Other{other}")))
            .chain(["Again".to_owned()])
            .collect();
        for reason in again {
            let event = news(reason);
            events.recorder().publish(&event, &object).await.unwrap();
        }
        let counted: Vec<_> = server
            .events()
            .iter()
            .filter(|event| event["reason"] == "Again")
            .map(|event| event["series"]["count"].as_u64())
            .collect();
        assert_eq!(counted, [None, Some(2), None]);
    }
}
