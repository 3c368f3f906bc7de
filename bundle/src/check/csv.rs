//! Names, versions and prose of the ClusterServiceVersion.

mod icon;
mod prose;
mod version;

use super::{Level, Needs, Rule};

pub(super) const RULES: &[Rule] = &[
    Rule {
        code: "csv/name",
        level: Level::Error,
        needs: Needs::Nothing,
        holds: "metadata.name is a DNS subdomain of at most 63 characters.",
        why: "OLM uses it as a label value too, and those end at 63 characters.",
        check: version::name,
    },
    Rule {
        code: "csv/version",
        level: Level::Error,
        needs: Needs::Nothing,
        holds: "spec.version is a semantic version, and metadata.name is <name>.v<version> with the same version.",
        why: "Upgrades go by the version, users by the name; no upstream validator compares them.",
        check: version::version,
    },
    Rule {
        code: "csv/replaces",
        level: Level::Error,
        needs: Needs::Nothing,
        holds: "spec.replaces and spec.skips name neither this version nor a newer one, and the range of olm.skipRange ends at this \
                version.",
        why: "An upgrade that leads to itself or downwards is never found; upstream validators let it pass.",
        check: version::replaces,
    },
    Rule {
        code: "csv/min-kube-version",
        level: Level::Error,
        needs: Needs::Nothing,
        holds: "spec.minKubeVersion, where it is given, is a full semantic version without a v.",
        why: "OLM can't compare anything else, and refuses the install.",
        check: version::min_kube_version,
    },
    Rule {
        code: "csv/oldest-kubernetes",
        level: Level::Warning,
        needs: Needs::Nothing,
        holds: "spec.minKubeVersion is given, and is not older than the fields that the manifests use.",
        why: "An older API server drops the field without a word: a budget's unhealthyPodEvictionPolicy, a schema's CEL rules.",
        check: version::oldest_kubernetes,
    },
    Rule {
        code: "csv/required",
        level: Level::Error,
        needs: Needs::Nothing,
        holds: "apiVersion, displayName, install.strategy deployment, at least one Deployment and one supported install mode are there.",
        why: "OLM can't install it else.",
        check: prose::required,
    },
    Rule {
        code: "csv/prose",
        level: Level::Error,
        needs: Needs::Nothing,
        holds: "Description (20 characters or more), display name (3 to 50), provider, maintainers with name and address, links with \
                name and URL are there.",
        why: "Catalogs refuse a bundle that says less about itself.",
        check: prose::prose,
    },
    Rule {
        code: "csv/keywords",
        level: Level::Warning,
        needs: Needs::Nothing,
        holds: "spec.keywords and spec.maturity are there.",
        why: "Users search and filter by them.",
        check: prose::keywords,
    },
    Rule {
        code: "csv/icon",
        level: Level::Error,
        needs: Needs::Nothing,
        holds: "There is exactly one icon, in base64, and it is what its media type says: SVG, PNG, JPEG or GIF.",
        why: "Catalogs refuse a bundle without; a picture that does not decode is shown as a broken one.",
        check: icon::icon,
    },
    Rule {
        code: "csv/annotation-values",
        level: Level::Error,
        needs: Needs::Nothing,
        holds: "The annotations capabilities, categories, containerImage, createdAt and repository, where given, have values that \
                catalogs take.",
        why: "Capability levels and categories come from fixed lists, the others from patterns; catalogs refuse anything else.",
        check: prose::annotation_values,
    },
    Rule {
        code: "csv/annotations",
        level: Level::Warning,
        needs: Needs::Nothing,
        holds: "The annotations capabilities, categories, containerImage, createdAt, description, repository and support are there.",
        why: "It is what catalogs show of an operator.",
        check: prose::annotations,
    },
    Rule {
        code: "csv/features",
        level: Level::Warning,
        needs: Needs::Nothing,
        holds: "The seven annotations features.operators.openshift.io/… that OpenShift requires are there, as \"true\" or \"false\".",
        why: "Certification asks for them, and users filter by them.",
        check: prose::features,
    },
];
