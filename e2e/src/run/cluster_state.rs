//! What the namespace of the target looks like when something went wrong.

use std::path::PathBuf;

use k8s_openapi::api::core::v1::Event;
use kube::{Api, api::ListParams};

use crate::context::RunContext;
use failover_reports::folder::{Folder, WriteError};

/// Writes the events and pods of the namespace as they are now into the folder `name` of the run's; gives where it is.
pub(super) async fn write(
    context: &RunContext<'_>,
    folder: &Folder,
    name: &str,
) -> Result<PathBuf, WriteError> {
    let events: Api<Event> = Api::namespaced(context.client.clone(), &context.target.namespace);
    // An API server that does not answer is itself what is written down.
    match events.list(&ListParams::default()).await {
        Ok(list) => folder.write(&format!("{name}/events.txt"), &event_lines(list.items))?,
        Err(error) => folder.write(&format!("{name}/events.txt"), &format!("{error}\n"))?,
    };
    match context.pods().list(&ListParams::default()).await {
        Ok(list) => folder.write_json(&format!("{name}/pods.json"), &list.items)?,
        Err(error) => folder.write(&format!("{name}/pods.json"), &format!("{error}\n"))?,
    };
    Ok(folder.path().join(name))
}

fn event_lines(events: Vec<Event>) -> String {
    let mut lines: Vec<(String, String)> = events
        .into_iter()
        .map(|event| {
            let at = event.last_timestamp.map(|time| time.0.to_string());
            let at = at
                .or(event.event_time.map(|time| time.0.to_string()))
                .unwrap_or_default();
            let object = event.involved_object.name.unwrap_or_default();
            let text = format!(
                "{at} {object} {} {}",
                event.reason.unwrap_or_default(),
                event.message.unwrap_or_default()
            );
            (at, text)
        })
        .collect();
    lines.sort();
    lines
        .into_iter()
        .fold(String::new(), |text, (_, line)| text + &line + "\n")
}
