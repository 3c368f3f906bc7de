//! Kinds of objects that a `ScheduledMachine` consists of, and how the API server serves them.

use std::fmt;

use kube::{
    Client,
    core::{ApiResource, GroupVersion},
};

use crate::api::{EmbeddedObject, ObjectReference};

/// The API group of Cluster API's Machine.
const CLUSTER_API: &str = "cluster.x-k8s.io";

/// What an object is to its `ScheduledMachine`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The bootstrap object.
    Bootstrap,
    /// The infrastructure object.
    Infrastructure,
    /// The Machine, which refers to both.
    Machine,
}

/// How Machines look: Cluster API changed the shape of references and the place of timeouts between the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Contract {
    /// References carry a version and a namespace.
    V1Beta1,
    /// References carry a group and no namespace.
    V1Beta2,
}

/// A kind that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum KindId {
    /// Cluster API's Machine, in the newest version that is served and known here.
    Machine,
    /// A kind that a spec names.
    Embedded {
        /// Group and version.
        api_version: String,
        /// Kind.
        kind: String,
    },
}

/// A kind as the API server serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// What was asked for.
    pub(crate) id: KindId,
    /// Its names.
    pub(crate) resource: ApiResource,
}

impl Contract {
    /// Both, the newer one first.
    const ALL: [Self; 2] = [Self::V1Beta2, Self::V1Beta1];

    fn version(self) -> &'static str {
        match self {
            Self::V1Beta1 => "v1beta1",
            Self::V1Beta2 => "v1beta2",
        }
    }
}

impl Kind {
    /// How Machines of this kind look; `None` for all other kinds.
    pub(crate) fn contract(&self) -> Option<Contract> {
        (self.id == KindId::Machine).then(|| {
            let is_old = self.resource.version == Contract::V1Beta1.version();
            if is_old {
                Contract::V1Beta1
            } else {
                Contract::V1Beta2
            }
        })
    }
}

impl From<&EmbeddedObject> for KindId {
    fn from(object: &EmbeddedObject) -> Self {
        Self::Embedded {
            api_version: object.api_version.clone(),
            kind: object.kind.clone(),
        }
    }
}

impl From<&ObjectReference> for KindId {
    fn from(reference: &ObjectReference) -> Self {
        Self::Embedded {
            api_version: reference.api_version.clone(),
            kind: reference.kind.clone(),
        }
    }
}

impl fmt::Display for KindId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine => write!(f, "Machine of {CLUSTER_API}"),
            Self::Embedded { api_version, kind } => write!(f, "{kind} of {api_version}"),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bootstrap => "bootstrap object",
            Self::Infrastructure => "infrastructure object",
            Self::Machine => "Machine",
        })
    }
}

/// Asks the API server for a kind; `None` when it does not serve it for objects in namespaces.
pub(crate) async fn discover(client: &Client, id: &KindId) -> Result<Option<Kind>, kube::Error> {
    match id {
        KindId::Machine => {
            for contract in Contract::ALL {
                let version = format!("{CLUSTER_API}/{}", contract.version());
                if let Some(resource) = served(client, &version, "Machine").await? {
                    return Ok(Some(Kind {
                        id: id.clone(),
                        resource,
                    }));
                }
            }
            Ok(None)
        }
        KindId::Embedded { api_version, kind } => {
            let resource = served(client, api_version, kind).await?;
            Ok(resource.map(|resource| Kind {
                id: id.clone(),
                resource,
            }))
        }
    }
}

async fn served(
    client: &Client,
    api_version: &str,
    kind: &str,
) -> Result<Option<ApiResource>, kube::Error> {
    let Ok(version) = api_version.parse::<GroupVersion>() else {
        return Ok(None);
    };
    let list = match client.list_api_group_resources(api_version).await {
        Ok(list) => list,
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(None),
        Err(error) => return Err(error),
    };
    let found = list
        .resources
        .into_iter()
        .find(|found| found.kind == kind && found.namespaced && !found.name.contains('/'));
    Ok(found.map(|found| ApiResource::from_gvk_with_plural(&version.with_kind(kind), &found.name)))
}
